'use strict';

// CloudFormation deletes no bucket that contains objects, and osls empties only the bucket that it deploys from.
// So `sls remove` first deletes every version and delete marker in the inbox, unless the deployed stack keeps its inbox.

const {
  CloudFormationClient,
  DescribeStackResourceCommand,
  GetTemplateCommand,
} = require('@aws-sdk/client-cloudformation');
const {
  S3Client,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  ListObjectVersionsCommand,
} = require('@aws-sdk/client-s3');

// XML 1.0 has no way to write most of these, so a key that contains one cannot stand in DeleteObjects' list.
const NOT_IN_XML = /[\x00-\x1f\x7f\ufffe\uffff]/;

module.exports = class EmptyInbox {
  constructor(serverless, options, { log }) {
    this.provider = serverless.getProvider('aws');
    this.log = log;
    this.hooks = { 'before:remove:remove': () => this.empty() };
  }

  async empty() {
    const config = await this.provider.getAwsSdkV3Config();
    const bucket = await this.inboxToDelete(new CloudFormationClient(config));
    if (!bucket) return;
    const s3 = new S3Client(config);
    let last;
    for (;;) {
      // Everything listed is deleted before the next listing, so that one begins with what is left.
      const versions = await this.listVersions(s3, bucket);
      if (!versions.length) break;
      const first = `${versions[0].Key}, version ${versions[0].VersionId}`;
      if (first === last) throw new Error(`${bucket}/${JSON.stringify(first)} was listed again after it was deleted`);
      last = first;
      await this.deleteVersions(s3, bucket, versions);
    }
    this.log.notice(`Emptied the inbox ${bucket}`);
  }

  // Return the name of the deployed stack's inbox; undefined if there is none, or if the stack keeps it. The stack is
  // asked, not serverless.yml, because params given at the deployment may be missing at the removal.
  async inboxToDelete(cloudFormation) {
    const StackName = this.provider.naming.getStackName();
    try {
      const { TemplateBody } = await cloudFormation.send(new GetTemplateCommand({ StackName }));
      if (JSON.parse(TemplateBody).Resources.Inbox?.DeletionPolicy?.startsWith('Retain')) return undefined;
      const described = await cloudFormation.send(
        new DescribeStackResourceCommand({ StackName, LogicalResourceId: 'Inbox' })
      );
      return described.StackResourceDetail.PhysicalResourceId;
    } catch (error) {
      // There is no such stack, or no inbox in it.
      if (error.name === 'ValidationError') return undefined;
      throw error;
    }
  }

  async listVersions(s3, bucket) {
    try {
      // Without an encoding, a control character in a key makes the answer invalid XML. The answer says whether the keys
      // in it are encoded: decoded once too often, a key would be another's.
      const page = await s3.send(new ListObjectVersionsCommand({ Bucket: bucket, EncodingType: 'url' }));
      const decoded = (key) => (page.EncodingType === 'url' ? decodeURIComponent(key.replaceAll('+', ' ')) : key);
      return [...(page.Versions ?? []), ...(page.DeleteMarkers ?? [])].map(({ Key, VersionId }) => ({
        Key: decoded(Key),
        VersionId,
      }));
    } catch (error) {
      // The bucket was deleted by hand, or by an earlier removal that did not finish.
      if (error.name === 'NoSuchBucket') return [];
      throw error;
    }
  }

  async deleteVersions(s3, bucket, versions) {
    const Objects = versions.filter(({ Key }) => !NOT_IN_XML.test(Key));
    if (Objects.length) {
      const { Errors: errors } = await s3.send(
        new DeleteObjectsCommand({ Bucket: bucket, Delete: { Objects, Quiet: true } })
      );
      if (errors?.length) throw new Error(`${bucket}/${errors[0].Key} was not deleted: ${errors[0].Message}`);
    }
    for (const { Key, VersionId } of versions.filter(({ Key }) => NOT_IN_XML.test(Key))) {
      await s3.send(new DeleteObjectCommand({ Bucket: bucket, Key, VersionId }));
    }
  }
};
