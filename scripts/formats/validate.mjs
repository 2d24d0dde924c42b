// Prints the report of the Khronos glTF validator on each file, and fails if one has errors or warnings.
import { readFileSync } from "node:fs";
import validator from "gltf-validator";

for (const path of process.argv.slice(2)) {
  const report = await validator.validateBytes(new Uint8Array(readFileSync(path)));
  const { numErrors, numWarnings, numInfos, numHints, messages } = report.issues;
  const { drawCallCount, totalTriangleCount, totalVertexCount } = report.info;
  console.log(
    `${path}: ${numErrors} errors, ${numWarnings} warnings, ${numInfos} infos, ${numHints} hints; ` +
      `${drawCallCount} draw calls, ${totalVertexCount} vertices, ${totalTriangleCount} triangles`,
  );
  for (const message of messages.filter(({ severity }) => severity < 2)) console.log(`  ${message.code} at ${message.pointer}: ${message.message}`);
  if (numErrors + numWarnings > 0) process.exitCode = 1;
}
