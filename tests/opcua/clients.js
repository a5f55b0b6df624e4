// Clients of the server: each opens a session, does its part, and closes. Arguments: the address, the folder of certificates, and which clients.
const { OPCUAClient, OPCUACertificateManager, MessageSecurityMode, SecurityPolicy, UserTokenType, AttributeIds, DataType, resolveNodeId } = require("node-opcua");
const fs = require("fs");

const [url, folder, ...parts] = process.argv.slice(2);

const identities = {
  anonymous: { type: UserTokenType.Anonymous },
  operator: { type: UserTokenType.UserName, userName: "operator", password: "station-7" },
  wrong: { type: UserTokenType.UserName, userName: "operator", password: "guess-1" },
};

async function connected(certificates) {
  const client = OPCUAClient.create({
    applicationName: "panel",
    applicationUri: undefined,
    clientCertificateManager: certificates,
    securityMode: MessageSecurityMode.SignAndEncrypt,
    securityPolicy: SecurityPolicy.Basic256Sha256,
    endpointMustExist: false,
    connectionStrategy: { maxRetry: 2, initialDelay: 100 },
  });
  await client.connect(url);
  return client;
}

(async () => {
  const certificates = new OPCUACertificateManager({ rootFolder: folder + "/client", automaticallyAcceptUnknownCertificate: true });
  await certificates.initialize();
  for (const part of parts) {
    const client = await connected(certificates);
    let identity = identities[part];
    if (part === "certificate") {
      identity = { type: UserTokenType.Certificate, certificateData: fs.readFileSync(folder + "/user.der"), privateKey: fs.readFileSync(folder + "/user.pem", "utf8") };
    }
    let session;
    try {
      session = await client.createSession(identity);
    } catch (error) {
      console.log(part + " refused " + error.message.split("\n")[0]);
      await client.disconnect();
      continue;
    }
    if (part === "operator" || part === "certificate") {
      await session.write({ nodeId: "ns=1;s=SetPoint", attributeId: AttributeIds.Value, value: { value: { dataType: DataType.Double, value: 42.25 } } });
    }
    if (part === "operator") {
      const line = (await session.browse("ObjectsFolder")).references.find((found) => found.browseName.name === "Line7").nodeId;
      await session.call({ objectId: line, methodId: "ns=1;s=Start", inputArguments: [{ dataType: DataType.String, value: "recipe-of-the-house" }] });
    }
    await session.close();
    await client.disconnect();
    console.log(part + " done");
  }
})().catch((error) => { console.error(error); process.exit(1); });
