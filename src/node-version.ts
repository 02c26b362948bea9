// The first import of the program: modules run in the order of their imports, and the libraries behind the next one do not
// run on an old Node.
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 19)) {
  process.stderr.write(
    `This is Node ${process.versions.node}: run Parley through npm (npm start), which brings Node 24, or install Node 24.\n`,
  );
  process.exit(1);
}
