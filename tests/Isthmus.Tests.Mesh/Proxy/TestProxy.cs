using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json.Nodes;
using Isthmus.Capture;
using Isthmus.Lab.Machine.Linux;
using Isthmus.Proxy;
using Isthmus.Proxy.Admin;
using Isthmus.Proxy.Dumps;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Telemetry;
using Isthmus.Proxy.Tls;
using Isthmus.Proxy.Transports;
using Isthmus.Tests.Mesh.Lab;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Isthmus.Tests.Mesh.Proxy;

/// <summary>Creates sockets in a network namespace. They stay there, whoever uses them.</summary>
internal sealed class NamespaceSockets(NamespaceHandle handle) : ISocketFactory
{
    public Socket Create(AddressFamily family) => NamespaceThread.Run(handle, () => new ProcessSockets().Create(family));
}

/// <summary>A real data plane in a namespace, fed with resources, with its access log in memory.</summary>
internal sealed class TestProxy : IDisposable, ILogFiles
{
    private readonly MemoryLog _log = new();
    private readonly string _directory = Directory.CreateTempSubdirectory("isthmus-resources").FullName;

    internal TestProxy(TestPod pod, ISecretSource secrets)
    {
        Pod = pod;
        var ports = new ProxyPorts(TimeProvider.System, new ThreadRandom(), new NamespaceSockets(pod.Handle), new SystemResolver());
        Plane = DataPlane.Build(ProxySettings.Default(ProxyIdentity.Unknown with { NodeId = "test" }, "sidecar"), ports, secrets, this,
            NullLoggerFactory.Instance);
    }

    internal TestPod Pod { get; }

    internal DataPlane Plane { get; }

    /// <summary>Access log lines written so far.</summary>
    internal IReadOnlyList<string> Log => _log.Lines;

    /// <summary>Loads resources the way <c>--xds-dir</c> does, and fails the test on any rejection.</summary>
    internal TestProxy Load(JsonArray clusters, JsonArray endpoints, JsonArray routes, JsonArray listeners)
    {
        File.WriteAllText(Path.Combine(_directory, "cds.json"), clusters.ToJsonString());
        File.WriteAllText(Path.Combine(_directory, "eds.json"), endpoints.ToJsonString());
        File.WriteAllText(Path.Combine(_directory, "rds.json"), routes.ToJsonString());
        File.WriteAllText(Path.Combine(_directory, "lds.json"), listeners.ToJsonString());
        foreach (var update in DirectorySource.Read(_directory, note => Assert.Fail(note)))
            Assert.Empty(Plane.State.Apply(update));
        Assert.Empty(Plane.ListenerFailures);
        Assert.Equal(listeners.Count, Plane.State.Current.Listeners.Count);
        return this;
    }

    /// <summary>Redirects the Pod's traffic as the init container does.</summary>
    internal async Task CaptureAsync()
    {
        var rules = CaptureRules.Write(CaptureFlags.Read(["-p", "15001", "-z", "15006", "-u", "1337", "-m", "REDIRECT", "-i", "*", "-x", "", "-b", "*", "-d",
            "15090,15021,15020"],
            new Dictionary<string, string>()), CaptureHost.Read());
        await NamespaceThread.Run(Pod.Handle, () => Nft.LoadAsync(rules, TestContext.Current.CancellationToken));
    }

    internal async Task<string> WaitForLogAsync(string part)
    {
        var line = await _log.WaitAsync(part, TestContext.Current.CancellationToken);
        return line;
    }

    Stream ILogFiles.Open(string path) => _log;

    public void Dispose()
    {
        Plane.Dispose();
        Directory.Delete(_directory, recursive: true);
        Assert.Equal(0, Plane.FailedTasks);
    }
}

/// <summary>The lines of an access log, and a way to wait for one.</summary>
internal sealed class MemoryLog : Stream
{
    private readonly List<string> _lines = [];
    private readonly List<(string Part, TaskCompletionSource<string> Found)> _waiting = [];

    internal IReadOnlyList<string> Lines
    {
        get
        {
            lock (_lines) return [.. _lines];
        }
    }

    internal async Task<string> WaitAsync(string part, CancellationToken stop)
    {
        TaskCompletionSource<string> found;
        lock (_lines)
        {
            if (_lines.Find(l => l.Contains(part, StringComparison.Ordinal)) is { } line) return line;
            found = new(TaskCreationOptions.RunContinuationsAsynchronously);
            _waiting.Add((part, found));
        }
        try
        {
            return await found.Task.WaitAsync(TimeSpan.FromSeconds(60), stop);
        }
        catch (TimeoutException)
        {
            throw new TimeoutException($"no line with '{part}' in:\n{string.Join("\n", Lines)}");
        }
    }

    public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

    public override void Write(ReadOnlySpan<byte> buffer)
    {
        lock (_lines)
        {
            foreach (var line in Encoding.UTF8.GetString(buffer).Split('\n', StringSplitOptions.RemoveEmptyEntries))
            {
                _lines.Add(line);
                foreach (var (_, found) in _waiting.FindAll(w => line.Contains(w.Part, StringComparison.Ordinal))) found.TrySetResult(line);
            }
        }
    }

    public override bool CanRead => false;

    public override bool CanSeek => false;

    public override bool CanWrite => true;

    public override long Length => throw new NotSupportedException();

    public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

    public override void Flush()
    {
    }

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();
}

/// <summary>Programs and servers in the namespaces of Pods.</summary>
internal static class TestPodExtensions
{
    /// <summary>Runs a program there and returns its output.</summary>
    internal static async Task<string> RunAsync(this TestPod pod, string program, params string[] args)
    {
        using var process = NamespaceThread.Run(pod.Handle, () =>
            Process.Start(new ProcessStartInfo(program, args) { RedirectStandardOutput = true, RedirectStandardError = true })!);
        var output = process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        var errors = process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        return await output + await errors;
    }

    /// <summary>Serves HTTP: every answer lists the request as it arrived.</summary>
    internal static void ServeHttp(this TestPod pod, int port, string name, CancellationToken stop) =>
        _ = new AdminServer(new IPEndPoint(IPAddress.Any, port), new NamespaceSockets(pod.Handle), (_, _) => { }, (request, _) =>
        {
            var text = new StringBuilder($"served-by: {name}\nmethod: {request.Method}\npath: {request.TargetText}\nhost: {request.Authority}\n");
            for (var i = 0; i < request.Headers.Count; i++)
                text.Append(Encoding.UTF8.GetString(request.Headers.Name(i))).Append(": ").Append(Encoding.UTF8.GetString(request.Headers.Value(i)))
                    .Append('\n');
            return ValueTask.FromResult<AdminReply?>(AdminReply.Text(text.ToString()));
        }).RunAsync(stop);
}
