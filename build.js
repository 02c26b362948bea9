// Builds what changed, then serves or runs a command when asked to:
//
//   node build.js            dist (the server) and dist/web (the pages)
//   node build.js --serve    ... then the gateway, in this process
//   node build.js --cli ...  ... then a command of `parley`, with the rest of the arguments
//   node build.js --watch    builds again at each change and restarts the gateway
//
// Old versions of Node must be able to read this file to the check, hence the late imports.

const needed = [22, 19];

function isTooOld() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  return major < needed[0] || (major === needed[0] && minor < needed[1]);
}

if (isTooOld()) {
  console.error(
    `This is Node ${process.versions.node}: run Parley through npm (npm start), which brings Node 24, or install Node 24.`,
  );
  process.exit(1);
} else {
  main(process.argv.slice(2)).catch((error) => {
    console.error(error instanceof BuildFailed ? error.message : error);
    process.exit(1);
  });
}

class BuildFailed extends Error {}

async function main(args) {
  const [mode, ...rest] = args;
  await loadDotEnv();
  const build = await openBuild(mode !== '--cli');
  await build.all();
  if (mode === '--serve') await (await build.import('main.js')).serve();
  else if (mode === '--cli') await (await build.import('cli/parley.js')).run(rest);
  else if (mode === '--watch') await build.watch();
}

// Settings of a developer; what the environment says itself counts more.
async function loadDotEnv() {
  const { existsSync } = await import('node:fs');
  const { fileURLToPath } = await import('node:url');
  const file = fileURLToPath(new URL('.env', import.meta.url));
  if (existsSync(file)) process.loadEnvFile(file);
}

async function openBuild(tellsSkips) {
  const fs = await import('node:fs');
  const { createHash } = await import('node:crypto');
  const { spawn } = await import('node:child_process');
  const { setTimeout: sleep } = await import('node:timers/promises');
  const { dirname, join, relative } = await import('node:path');
  const { fileURLToPath, pathToFileURL } = await import('node:url');

  const root = dirname(fileURLToPath(import.meta.url));
  const at = (...path) => join(root, ...path);
  const dist = at('dist');
  const lockFile = at('dist', '.build.lock');
  // Beside dist, not in it: at the same depth, so the paths inside the source maps stay right when files move.
  const part = (name) => at(`.dist-${name}-${process.pid}`);
  const tsc = at('node_modules/typescript/bin/tsc');
  const vite = at('node_modules/vite/bin/vite.js');

  const server = {
    name: 'server',
    inputs: () => [...filesIn(at('src')).filter((file) => !file.startsWith(at('src/web/'))), at('tsconfig.json')],
    isBuilt: () => fs.existsSync(at('dist/main.js')) || fs.existsSync(at('dist/domain')),
    missing: () => {
      if (!fs.existsSync(at('src')) || !fs.existsSync(tsc)) return 'TypeScript or its sources are not here';
    },
    async make(folder) {
      await run(tsc, ['-p', at('tsconfig.json'), '--outDir', folder]);
      moveInto(folder, dist, (path) => path === 'web' || path.startsWith('.build'));
    },
  };

  const web = {
    name: 'web',
    inputs: () => [...filesIn(at('src/web')), at('vite.config.ts'), at('schema.graphql')],
    isBuilt: () => fs.existsSync(at('dist/web')),
    missing: () => {
      if (!fs.existsSync(at('vite.config.ts'))) return 'vite.config.ts is not here';
      if (!fs.existsSync(vite)) return 'Vite is not installed';
    },
    async make(folder) {
      await run(vite, ['build', '--logLevel', 'warn', '--emptyOutDir', '--outDir', folder], {
        NODE_ENV: 'production',
      });
      const old = part('old');
      if (fs.existsSync(at('dist/web'))) fs.renameSync(at('dist/web'), old);
      fs.renameSync(folder, at('dist/web'));
      fs.rmSync(old, { recursive: true, force: true });
    },
  };

  function filesIn(folder) {
    if (!fs.existsSync(folder)) return [];
    const entries = fs.readdirSync(folder, { withFileTypes: true, recursive: true });
    return entries
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .sort();
  }

  function hashOf(target) {
    const hash = createHash('sha256');
    for (const file of [...target.inputs(), at('package-lock.json'), at('build.js')]) {
      if (!fs.existsSync(file)) continue;
      const content = fs.readFileSync(file);
      hash.update(`${relative(root, file)}\0${content.length}\0`).update(content);
    }
    return hash.digest('hex');
  }

  const stampOf = (target) => at('dist', `.build-${target.name}.json`);

  function isFresh(target, hash) {
    try {
      return target.isBuilt() && JSON.parse(fs.readFileSync(stampOf(target), 'utf8')).hash === hash;
    } catch {
      return false;
    }
  }

  async function make(target) {
    const missing = target.missing();
    if (missing) {
      // The production image holds what was built elsewhere.
      if (!target.isBuilt() && target === server)
        throw new BuildFailed(`Nothing is built, and ${missing}: run npm ci.`);
      if (!target.isBuilt() && tellsSkips) console.error(`The pages are not built: ${missing}.`);
      return;
    }
    if (isFresh(target, hashOf(target))) return;
    await underLock(async () => {
      // Read again: somebody else may have built while we waited.
      const hash = hashOf(target);
      if (isFresh(target, hash)) return;
      const started = performance.now();
      const folder = part(target.name);
      for (const name of fs.readdirSync(root).filter((entry) => entry.startsWith('.dist-'))) {
        fs.rmSync(at(name), { recursive: true, force: true });
      }
      try {
        fs.rmSync(stampOf(target), { force: true });
        await target.make(folder);
        fs.writeFileSync(stampOf(target), `${JSON.stringify({ hash })}\n`);
      } finally {
        fs.rmSync(folder, { recursive: true, force: true });
      }
      console.error(`Built ${target.name} in ${((performance.now() - started) / 1000).toFixed(1)} s.`);
    });
  }

  /** Puts the new files in place one by one, then removes what no source makes any more. */
  function moveInto(from, to, isKept) {
    const fresh = new Set(filesIn(from).map((file) => relative(from, file)));
    for (const path of fresh) {
      fs.mkdirSync(dirname(join(to, path)), { recursive: true });
      fs.renameSync(join(from, path), join(to, path));
    }
    for (const name of fs.readdirSync(to)) {
      if (isKept(name)) continue;
      const stale = fs.statSync(join(to, name)).isDirectory() ? filesIn(join(to, name)) : [join(to, name)];
      for (const file of stale) if (!fresh.has(relative(to, file))) fs.rmSync(file, { force: true });
    }
  }

  /** One build at a time in this folder; a lock whose owner is gone does not count. */
  async function underLock(work) {
    fs.mkdirSync(dist, { recursive: true });
    while (!takeLock()) {
      if (isLeftOver()) fs.rmSync(lockFile, { force: true });
      else await sleep(50);
    }
    try {
      await work();
    } finally {
      fs.rmSync(lockFile, { force: true });
    }
  }

  function takeLock() {
    try {
      fs.writeFileSync(lockFile, String(process.pid), { flag: 'wx' });
      return true;
    } catch (error) {
      if (error.code === 'EEXIST') return false;
      throw error;
    }
  }

  function isLeftOver() {
    try {
      const ageMs = Date.now() - fs.statSync(lockFile).mtimeMs;
      const pid = Number(fs.readFileSync(lockFile, 'utf8'));
      if (!pid) return ageMs > 5_000;
      if (pid === process.pid || ageMs > 300_000) return true;
      process.kill(pid, 0);
      return false;
    } catch (error) {
      return error.code === 'ESRCH';
    }
  }

  // What the tools print goes to stderr: stdout belongs to the command that runs after the build.
  function run(script, args, env = {}) {
    const child = spawn(process.execPath, [script, ...args], {
      cwd: root,
      env: { ...process.env, ...env },
      stdio: ['ignore', 2, 2],
    });
    return new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code) => {
        if (code === 0) resolve();
        else reject(new BuildFailed(`${relative(root, script)} failed (${code}).`));
      });
    });
  }

  return {
    async all() {
      await make(server);
      await make(web);
    },

    import: (file) => import(pathToFileURL(at('dist', file)).href),

    async watch() {
      // tsc writes into dist from here on, so the next build must not trust the stamp.
      fs.rmSync(stampOf(server), { force: true });
      const tools = [
        [tsc, '-p', at('tsconfig.json'), '--watch', '--preserveWatchOutput'],
        ['--watch', '--enable-source-maps', at('dist/main.js')],
      ];
      const children = tools.map((args) => spawn(process.execPath, args, { cwd: root, stdio: 'inherit' }));
      const stop = () => {
        for (const child of children) child.kill('SIGTERM');
      };
      for (const name of ['SIGINT', 'SIGTERM']) process.once(name, stop);
      await Promise.all(
        children.map((child) => new Promise((resolve) => child.once('close', resolve).once('close', stop))),
      );
    },
  };
}
