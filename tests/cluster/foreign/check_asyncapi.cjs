// What the parser of AsyncAPI itself says of a document, as JSON:  node check_asyncapi.cjs FILE
const { Parser, fromFile } = require("@asyncapi/parser");

fromFile(new Parser(), process.argv[2])
  .parse()
  .then(({ document, diagnostics }) => {
    // Severity 0 is an error, 1 a warning; 2 and 3 are advice.
    const complaints = diagnostics.filter((one) => one.severity <= 1).map((one) => `${one.path.join(".")}: ${one.message}`);
    const channels = document ? document.channels().map((one) => one.address()) : [];
    const payloads = document ? document.allMessages().map((one) => [one.id(), one.payload().json().type]) : [];
    console.log(JSON.stringify({ complaints, channels, payloads }));
  });
