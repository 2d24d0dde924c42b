// Browsers know a photo's type by its name's ending, and often not those of phones: HEIC has none in most, in capital
// letters in nearly all. Gradio would refuse such files. They are offered to it as images: the server looks inside.
() => {
  const own = Object.getOwnPropertyDescriptor(Blob.prototype, "type");
  const unknown = ["", "application/octet-stream"];
  Object.defineProperty(File.prototype, "type", {
    configurable: true,
    get() {
      const type = own.get.call(this);
      return unknown.includes(type) ? "image/unknown" : type;
    },
  });
  // The dialog for files must not hide them either.
  const endings = ["heic", "heif", "hif", "avif", "jxl", "tif", "tiff"].flatMap((e) => ["." + e, "." + e.toUpperCase()]);
  const offer = () => {
    for (const input of document.querySelectorAll('#photo input[type="file"]')) {
      if (input.accept && !input.accept.includes(endings[0])) input.accept = ["image/*", ...endings].join(",");
    }
  };
  new MutationObserver(offer).observe(document.body, { childList: true, subtree: true });
  offer();
}
