"""Photos with a depth map inside, as phones write them."""

import base64
import io
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image

LEVELS = (np.add.outer(np.arange(24) * 4, np.arange(32) * 5) % 251).astype(np.uint8)
"""(24, 32) grey levels, different in every row and column."""

RDF = '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">{}</rdf:RDF></x:xmpmeta>'

APPLE_XMP = """<rdf:Description rdf:about="" xmlns:apdi="http://ns.apple.com/pixeldatainfo/1.0/"
 xmlns:depthData="http://ns.apple.com/depthData/1.0/">
<apdi:IntMaxValue>255</apdi:IntMaxValue><apdi:StoredFormat>1278226488</apdi:StoredFormat>
<apdi:IntMinValue>0</apdi:IntMinValue><apdi:FloatMinValue>{low}</apdi:FloatMinValue>
<apdi:FloatMaxValue>{high}</apdi:FloatMaxValue><apdi:AuxiliaryImageType>{kind}</apdi:AuxiliaryImageType>{more}
<depthData:Accuracy>{accuracy}</depthData:Accuracy></rdf:Description>"""


def picture(size: tuple[int, int] = (96, 128)) -> Image.Image:
    """A photo (H, W)."""
    y, x = np.mgrid[0 : size[0], 0 : size[1]]
    return Image.fromarray(np.stack([x * 255 // size[1], y * 255 // size[0], 0 * x + 90], -1).astype(np.uint8))


def exif(orientation: int) -> Image.Exif:
    """EXIF with an orientation."""
    made = Image.Exif()
    made[ExifTags.Base.Orientation] = orientation
    return made


def jpeg(image: Image.Image, **options: object) -> bytes:
    """An image as JPEG, nearly without loss."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=100, subsampling=0, **options)
    return buffer.getvalue()


def png(image: Image.Image) -> bytes:
    """An image as PNG."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def apple_jpeg(
    path: Path,
    kind: str = "disparity",
    ends: tuple[float, float] = (0.25, 2.0),
    accuracy: str = "relative",
    orientation: int = 1,
    levels: np.ndarray = LEVELS,
    size: tuple[int, int] = (96, 128),
) -> None:
    """A Multi-Picture JPEG: the photo, a matte, and a depth picture whose XMP says what it means."""
    pictures = [picture(size), Image.fromarray(255 - levels), Image.fromarray(levels)]
    texts = ["<apdi:AuxiliaryImageSubType>portraiteffectsmatte</apdi:AuxiliaryImageSubType>", ""]
    for image, more in zip(pictures[1:], texts, strict=True):
        text = APPLE_XMP.format(low=ends[0], high=ends[1], kind=kind, accuracy=accuracy, more=more)
        image.encoderinfo = {"xmp": RDF.format(text).encode(), "quality": 100}
    pictures[0].save(
        path, "MPO", save_all=True, append_images=pictures[1:], exif=exif(orientation), quality=100, subsampling=0
    )


def gdepth_jpeg(path: Path, linear: bool = False, ends: tuple[float, float] = (1.0, 8.0), units: str = "m") -> None:
    """A JPEG with GDepth: the map as PNG, in base64 in two segments of extended XMP."""
    space = 'xmlns:GDepth="http://ns.google.com/photos/1.0/depthmap/"'
    form = "RangeLinear" if linear else "RangeInverse"
    main = RDF.format(
        f'<rdf:Description rdf:about="" {space} GDepth:Format="{form}" GDepth:Near="{ends[0]}" GDepth:Far="{ends[1]}" '
        f'GDepth:Units="{units}" GDepth:Mime="image/png"/>'
    )
    data = base64.b64encode(png(Image.fromarray(LEVELS))).decode()
    extended = RDF.format(f'<rdf:Description rdf:about="" {space} GDepth:Data="{data}"/>').encode()
    photo, middle, head = (
        jpeg(picture(), xmp=main.encode()),
        len(extended) // 2,
        b"http://ns.adobe.com/xmp/extension/\0",
    )
    segments = b""
    for offset, part in ((middle, extended[middle:]), (0, extended[:middle])):
        content = head + b"0" * 32 + len(extended).to_bytes(4, "big") + offset.to_bytes(4, "big") + part
        segments += b"\xff\xe1" + (len(content) + 2).to_bytes(2, "big") + content
    path.write_bytes(photo[:2] + segments + photo[2:])


def dynamic_depth_jpeg(
    path: Path, ends: tuple[float, float] = (1.0, 8.0), lost: int = 0, depth_length: str = ""
) -> None:
    """A JPEG in the form of Dynamic Depth: the depth picture, then a video, follow the photo."""
    depth, video = jpeg(Image.fromarray(LEVELS)), b"video" * 20
    items = "".join(
        f'<rdf:li><Item:Item Item:Mime="image/jpeg" Item:Semantic="{name}" Item:Length="{length}"/></rdf:li>'
        for name, length in (("Primary", 0), ("Depth", depth_length or len(depth)), ("MotionPhoto", len(video)))
    )
    text = RDF.format(
        '<rdf:Description rdf:about="" xmlns:Item="http://ns.google.com/photos/dd/1.0/item/" '
        'xmlns:DepthMap="http://ns.google.com/photos/dd/1.0/depthmap/" DepthMap:Format="RangeInverse" '
        f'DepthMap:Near="{ends[0]}" DepthMap:Far="{ends[1]}"><rdf:Seq>{items}</rdf:Seq></rdf:Description>'
    )
    behind = depth + video
    path.write_bytes(jpeg(picture(), xmp=text.encode()) + behind[: len(behind) - lost])


def heic(path: Path, **options: object) -> None:
    """A HEIC with a depth image: its transparency, named depth. Options are those of saving."""
    from pillow_heif import register_heif_opener

    register_heif_opener()
    image = picture()
    levels = Image.fromarray(LEVELS).resize(image.size, Image.Resampling.NEAREST)
    image.putalpha(levels)
    image.save(path, format="HEIF", quality=-1, **options)
    content = path.read_bytes()
    assert content.count(b"auxid:1\0") == 1
    path.write_bytes(content.replace(b"auxid:1\0", b"auxid:2\0"))
