// A process that starts the embedded database of a folder, says its address, and stops it at the end of its input.
import { startEmbedded } from '../../dist/database/embedded.js';

const silent = { info() {}, warn() {} };
const server = await startEmbedded({ dataDir: process.argv[2], log: silent, parameters: { fsync: 'off' } });
process.stdout.write(`${JSON.stringify({ url: server.url, isReused: server.isReused })}\n`);
process.stdin.resume().on('end', () => void server.stop());
