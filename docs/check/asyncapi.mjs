// Reads an AsyncAPI document with AsyncAPI's own parser and says what is wrong with it, warnings too.
//
//   node asyncapi.mjs ../asyncapi.yaml 13
//
// Leaves with 1 where something is wrong, or where there are fewer channels than so many: then not all was read.
import { Parser, fromFile } from '@asyncapi/parser';

const [file, atLeast = '1'] = process.argv.slice(2);
const parser = new Parser();
const { document, diagnostics } = await fromFile(parser, file).parse();
// The parser advises to name a newer AsyncAPI version, contact and licence; the rest it says is an error here.
const advice = new Set(['asyncapi-latest-version', 'asyncapi-info-contact', 'asyncapi-info-license', 'asyncapi-info-license-url', 'asyncapi-id']);
const wrong = diagnostics.filter(({ code }) => !advice.has(code));
for (const { code, message, path, range } of wrong) {
  console.log(`${file}:${range.start.line + 1}: ${path.join('.')}: ${message} (${code})`);
}
if (wrong.length > 0 || document === undefined) process.exit(1);
const channels = document.channels().length;
console.log(`${file}: ${channels} channels, ${document.operations().length} operations, ${document.messages().length} messages`);
if (channels < Number(atLeast)) process.exit(1);
