using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using Isthmus.Rigs.Proxy;
using Xunit;

namespace Isthmus.Tests.Proxy.KnownKinds;

/// <summary>Heads that the proxy writes, read by a strict parser that is not its own: Node's.</summary>
public sealed class NodeServerTests
{
    // Answers with what it read, and how many requests and unreadable ones there were.
    private const string Script = """
        let count = 0, unreadable = 0;
        const server = require('http').createServer({insecureHTTPParser: false}, (request, response) => {
          const parts = [];
          count++;
          request.on('data', part => parts.push(part));
          request.on('end', () => response.end(JSON.stringify({count, unreadable, method: request.method, url: request.url, fields: request.rawHeaders,
            body: Buffer.concat(parts).toString('latin1')})));
        });
        server.on('clientError', (error, socket) => { unreadable++; socket.destroy(); });
        server.keepAliveTimeout = 0;
        server.listen(0, '127.0.0.1', () => console.log(server.address().port));
        process.stdin.resume().on('end', () => process.exit());
        """;

    [Fact]
    public async Task A_strict_server_reads_each_request_as_it_was_sent_and_no_other()
    {
        using var node = Process.Start(new ProcessStartInfo("node", ["-e", Script]) { RedirectStandardInput = true, RedirectStandardOutput = true })!;
        try
        {
            var port = int.Parse((await node.StandardOutput.ReadLineAsync(TestContext.Current.CancellationToken))!, CultureInfo.InvariantCulture);
            // A field that is made of another one's value, too.
            using var proxy = new LoopbackProxy([LoopbackProxy.Cluster("up")],
                """ "request_headers_to_add": [{"header": {"key": "x-copy", "value": "%REQ(x-in)%"} }], "route": {"cluster": "up", "timeout": "0s"} """);
            proxy.Endpoints("up", port);
            var passed = 0;
            foreach (var (sent, target, body, fields) in StrangeRequests.Take(400))
            {
                var answer = await proxy.RawAsync(sent);
                if (!answer.StartsWith("HTTP/1.1 200 ", StringComparison.Ordinal))
                {
                    Assert.True(answer.StartsWith("HTTP/1.1 400 ", StringComparison.Ordinal), $"{answer} to {sent}");
                    continue;
                }
                var json = answer[answer.IndexOf('{', StringComparison.Ordinal)..(answer.LastIndexOf('}') + 1)];
                var seen = JsonNode.Parse(Encoding.UTF8.GetString(Encoding.Latin1.GetBytes(json)))!;
                Assert.Equal((++passed, 0), ((int)seen["count"]!, (int)seen["unreadable"]!));
                Assert.Equal(("POST", target), ((string)seen["method"]!, (string)seen["url"]!));
                Assert.Equal(body, (string)seen["body"]!);
                var read = seen["fields"]!.AsArray().Select(text => (string)text!).Chunk(2).Select(pair => (pair[0].ToUpperInvariant(), pair[1])).ToList();
                if (fields.All(field => !field.Value.Contains('\n', StringComparison.Ordinal)))
                    Assert.All(fields, field => Assert.Contains((field.Name.ToUpperInvariant(), field.Value.Trim(' ', '\t')), read));
                Assert.Single(read, field => field.Item1 == "CONTENT-LENGTH");
                Assert.DoesNotContain(read, field => field.Item1 == "TRANSFER-ENCODING");
            }
            Assert.InRange(passed, 50, 399);
        }
        finally
        {
            node.StandardInput.Close();
            await node.WaitForExitAsync(CancellationToken.None);
        }
    }
}
