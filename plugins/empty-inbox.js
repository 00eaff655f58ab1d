'use strict';

// CloudFormation deletes no bucket that has objects in it, and the framework empties only the one it deploys from.
// `sls remove` empties the inbox first, every version and every delete marker of it; unless the stage keeps its inbox.

const { CloudFormationClient, DescribeStackResourceCommand } = require('@aws-sdk/client-cloudformation');
const { S3Client, DeleteObjectsCommand, ListObjectVersionsCommand } = require('@aws-sdk/client-s3');

module.exports = class EmptyInbox {
  constructor(serverless, options, { log }) {
    this.serverless = serverless;
    this.provider = serverless.getProvider('aws');
    this.log = log;
    this.hooks = { 'before:remove:remove': () => this.empty() };
  }

  async empty() {
    if (this.keepsInbox()) return;
    const config = await this.provider.getAwsSdkV3Config();
    const bucket = await this.inbox(new CloudFormationClient(config));
    if (!bucket) return;
    const s3 = new S3Client(config);
    for (;;) {
      // What was listed is deleted, so the first page is always the next.
      const page = await this.listed(s3, bucket);
      const listed = [...(page.Versions ?? []), ...(page.DeleteMarkers ?? [])];
      if (!listed.length) break;
      const Objects = listed.map(({ Key, VersionId }) => ({ Key, VersionId }));
      const { Errors: errors } = await s3.send(
        new DeleteObjectsCommand({ Bucket: bucket, Delete: { Objects, Quiet: true } })
      );
      if (errors?.length) throw new Error(`${bucket}/${errors[0].Key} was not deleted: ${errors[0].Message}`);
    }
    this.log.notice(`Emptied the inbox ${bucket}`);
  }

  keepsInbox() {
    const { resources } = this.serverless.service;
    return [resources].flat().some(({ Resources }) => Resources?.Inbox?.DeletionPolicy === 'Retain');
  }

  async listed(s3, bucket) {
    try {
      return await s3.send(new ListObjectVersionsCommand({ Bucket: bucket }));
    } catch (error) {
      // Deleted by hand, or by a removal that did not come to its end.
      if (error.name === 'NoSuchBucket') return {};
      throw error;
    }
  }

  async inbox(cloudFormation) {
    try {
      const described = await cloudFormation.send(
        new DescribeStackResourceCommand({
          StackName: this.provider.naming.getStackName(),
          LogicalResourceId: 'Inbox',
        })
      );
      return described.StackResourceDetail.PhysicalResourceId;
    } catch (error) {
      // No such stack, or a stack without an inbox: nothing to empty.
      if (error.name === 'ValidationError') return undefined;
      throw error;
    }
  }
};
