/** Takes any body and says how long it was. `node sink.ts PORT` */
import { createServer } from 'node:http';

createServer((request, response) => {
  let bytes = 0;
  request.on('data', (chunk: Buffer) => {
    bytes += chunk.byteLength;
  });
  request.on('end', () => response.end(`${bytes}\n`));
}).listen(Number(process.argv[2]), '127.0.0.1');
