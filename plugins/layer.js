'use strict';

// What has to be so before the framework looks at the layer that serverless-python-requirements has made.

const fs = require('fs');
const path = require('path');
const { setTimeout } = require('timers/promises');

const PATIENCE_MS = 10_000;
const PAUSE_MS = 20;

module.exports = class Layer {
  constructor(serverless) {
    this.serverless = serverless;
    this.hooks = {
      'before:package:compileLayers': async () => {
        await this.waitForFile();
        this.leaveOutComparison();
      },
    };
  }

  // The plugin links the layer's file to its cache, and does not wait until the link is there.
  async waitForFile() {
    const { service, serviceDir } = this.serverless;
    const file = path.resolve(serviceDir, service.layers.pythonRequirements.artifact);
    const end = Date.now() + PATIENCE_MS;
    while (!fs.existsSync(file)) {
      if (Date.now() > end) throw new Error(`${file} is missing ${PATIENCE_MS} ms after it was made`);
      await setTimeout(PAUSE_MS);
    }
  }

  // The framework compares a layer with the one that is deployed, to upload it only when it changed; that asks AWS.
  // `sls package` must need no account, so it leaves the comparison out, as before a first deployment.
  leaveOutComparison() {
    const { pluginManager, processedInput } = this.serverless;
    if (processedInput.commands[0] !== 'package') return;
    const compiler = pluginManager.plugins.find((plugin) => plugin.compareWithLastLayer);
    compiler.compareWithLastLayer = async () => {};
  }
};
