using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Isthmus.Rigs.Proxy;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Proxy.KnownKinds;

/// <summary>Heads that the proxy writes over HTTP/1.1 and HTTP/2, read by nginx, whatever the configuration does to framing.</summary>
public sealed class NginxServerTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("isthmus-nginx-");
    private readonly ReservedPort _port = new();

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public void Dispose()
    {
        _port.Dispose();
        _folder.Delete(recursive: true);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task It_reads_each_request_as_it_was_sent_and_no_other(bool http2)
    {
        Assert.SkipWhen(RealNginx.Find() is null, RealNginx.Missing);
        using var nginx = await StartAsync(http2);
        try
        {
            // A field that is made of another one's value, and edits that would make the body another request.
            using var proxy = new LoopbackProxy([LoopbackProxy.Cluster("up", http2)], """
                "request_headers_to_add": [{"header": {"key": "x-copy", "value": "%REQ(x-in)%"} }, {"header": {"key": "transfer-encoding", "value": "chunked"} },
                  {"header": {"key": "content-length", "value": "0"}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}],
                "request_headers_to_remove": ["content-length"], "route": {"cluster": "up", "timeout": "0s"}
                """);
            proxy.Endpoints("up", _port.Number);
            var passed = new List<string>();
            foreach (var request in StrangeRequests.Take(400, hosts: false))
            {
                var answer = await proxy.RawAsync(request.Text);
                if (!answer.StartsWith("HTTP/1.1 200 ", StringComparison.Ordinal))
                {
                    Assert.True(answer.StartsWith("HTTP/1.1 400 ", StringComparison.Ordinal), $"{answer} to {request.Text}");
                    Assert.DoesNotContain("nginx", answer, StringComparison.Ordinal);
                    continue;
                }
                passed.Add($"200 POST {request.Target}");
                var value = request.Fields[0].Value;
                var read = answer[(answer.IndexOf("\r\n\r\n", StringComparison.Ordinal) + 4)..].Split('\n');
                Assert.Equal((request.Target, $"{request.Body.Length}"), (read[0], read[1]));
                if (value.Contains('\n', StringComparison.Ordinal)) continue;
                value = value.Trim(' ', '\t');
                Assert.Equal((value, value.Length > 0 ? value : read[3]), (read[2], read[3]));
            }
            Assert.InRange(passed.Count, 50, 399);
            // What it could not read is in the log, too.
            var log = Path.Combine(_folder.FullName, "requests");
            await Eventually.TrueAsync(() => File.ReadAllLines(log).Length >= passed.Count);
            Assert.Equal(passed.Order(StringComparer.Ordinal), File.ReadAllLines(log).Order(StringComparer.Ordinal));
        }
        finally
        {
            nginx.Kill();
            await nginx.WaitForExitAsync(CancellationToken.None);
        }
    }

    private async Task<Process> StartAsync(bool http2)
    {
        var places = string.Concat(((string[])["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]).Select(kind => $"{kind}_temp_path temp; "));
        await File.WriteAllTextAsync(Path.Combine(_folder.FullName, "nginx.conf"), $$"""
            daemon off;
            master_process off;
            pid nginx.pid;
            error_log errors;
            events { }
            http {
              {{places}}
              log_format plain escape=none '$status $request_method $request_uri';
              access_log requests plain;
              server {
                listen 127.0.0.1:{{_port.Number}}{{(http2 ? " http2" : "")}};
                location / { default_type text/plain; return 200 "$request_uri\n$content_length\n$http_x_in\n$http_x_copy\n"; }
              }
            }
            """, Stop);
        var nginx = Process.Start(new ProcessStartInfo(RealNginx.Find()!, ["-p", _folder.FullName, "-e", "errors", "-c", "nginx.conf"]))!;
        await Eventually.TrueAsync(async () =>
        {
            Assert.False(nginx.HasExited, "nginx has ended");
            using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            try
            {
                await socket.ConnectAsync(IPAddress.Loopback, _port.Number, Stop);
                return true;
            }
            catch (SocketException)
            {
                return false; // It does not listen yet.
            }
        });
        return nginx;
    }
}
