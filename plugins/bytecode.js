'use strict';

// Lambda's file system is read-only: what it imports from a package without bytecode is compiled at every cold start.
// This packages the bytecode beside the modules, valid by its source's hash: a time stamp would not outlive the package.

const crypto = require('crypto');
const fs = require('fs');
const { spawnSync } = require('child_process');

module.exports = class Bytecode {
  constructor(serverless) {
    this.serverless = serverless;
    // With this set, to any value, pip writes hash-checked bytecode too, for the layer.
    process.env.SOURCE_DATE_EPOCH ??= '315532800';
    // The layer is built once for its requirements and settings. A folder of its own keeps out what was built otherwise.
    const settings = serverless.service.custom.pythonRequirements;
    const digest = crypto.createHash('sha256').update(JSON.stringify(settings)).digest('hex');
    settings.cacheLocation = `.venv/layers/${digest.slice(0, 16)}`;
    this.hooks = { 'before:package:createDeploymentArtifacts': () => this.compile() };
  }

  compile() {
    const { service, serviceDir } = this.serverless;
    const modules = fs.readdirSync(serviceDir).filter((name) => name.endsWith('.py'));
    // The path that tracebacks show is where Lambda unpacks.
    const where = ['-s', serviceDir, '-p', '/var/task', ...modules.map((module) => `${serviceDir}/${module}`)];
    // -o 2 leaves the docstrings out, a tenth of the bytecode, and gives it a name that only `python -OO` looks for.
    const options = ['-m', 'compileall', '-q', '-f', '-o', '2', '--invalidation-mode', 'checked-hash'];
    const { status, error, stderr } = spawnSync(service.provider.runtime, [...options, ...where], { encoding: 'utf8' });
    if (status !== 0) throw new Error(`${modules.join(', ')} cannot be compiled: ${error ?? stderr}`);
    const tag = service.provider.runtime.replace('python', 'cpython-').replace('.', '');
    for (const module of modules) {
      const bytecode = `__pycache__/${module.replace(/py$/, `${tag}.pyc`)}`;
      fs.renameSync(`${serviceDir}/${bytecode.replace(/pyc$/, 'opt-2.pyc')}`, `${serviceDir}/${bytecode}`);
      service.package.patterns.push(bytecode);
    }
  }
};
