'use strict';

// Lambda's file system is read-only: what it imports from a package without bytecode is compiled at every cold start.
// This packages the bytecode beside the modules, valid by its source's hash: a time stamp would not outlive the package.

const crypto = require('crypto');
const fs = require('fs');
const { spawnSync } = require('child_process');

// Without docstrings, which are a tenth of the bytecode. The path that tracebacks show is where Lambda unpacks.
const COMPILE = `
import py_compile, sys
for module, bytecode in zip(sys.argv[1::2], sys.argv[2::2]):
    mode = py_compile.PycInvalidationMode.CHECKED_HASH
    py_compile.compile(module, bytecode, f"/var/task/{module}", doraise=True, optimize=2, invalidation_mode=mode)
`;

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
    const tag = service.provider.runtime.replace('python', 'cpython-').replace('.', '');
    const bytecode = modules.map((module) => `__pycache__/${module.replace(/py$/, `${tag}.pyc`)}`);
    const files = modules.flatMap((module, n) => [module, bytecode[n]]);
    const options = { cwd: serviceDir, encoding: 'utf8' };
    const { status, error, stderr } = spawnSync(service.provider.runtime, ['-c', COMPILE, ...files], options);
    if (status !== 0) throw new Error(`${modules.join(', ')} cannot be compiled: ${error ?? stderr}`);
    service.package.patterns.push(...bytecode);
  }
};
