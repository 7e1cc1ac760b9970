using System.Net;
using System.Text;
using Isthmus.Kubernetes.Client;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Rigs.Servers;

/// <summary>An API server whose responses a test writes.</summary>
internal sealed class ScriptedServer : IDisposable
{
    private readonly HttpListener _listener;

    public ScriptedServer()
    {
        _listener = LocalHttp.Start(out var address);
        Client = new(new ClusterAccess { Server = address });
    }

    public KubeClient Client { get; }

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    /// <summary>The next request. A test that waits for one too many fails instead of hanging.</summary>
    public async Task<ScriptedCall> NextAsync() => new(await _listener.GetContextAsync().WaitAsync(TimeSpan.FromMinutes(1), Stop));

    /// <summary>A Namespace.</summary>
    public static string Item(string version, string name = "one", string label = "") =>
        $$$$"""{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"{{{{name}}}}","resourceVersion":"{{{{version}}}}","labels":{"x":"{{{{label}}}}"}}}""";

    public void Dispose()
    {
        Client.Dispose();
        _listener.Close();
    }
}

/// <summary>One request, to be answered by the test.</summary>
internal sealed class ScriptedCall(HttpListenerContext call)
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public bool IsWatch => call.Request.QueryString["watch"] == "true";

    public string? Version => call.Request.QueryString["resourceVersion"];

    public Task ListAsync(string version, params string[] items) =>
        EndAsync($$$"""{"metadata":{"resourceVersion":"{{{version}}}"},"items":[{{{string.Join(',', items)}}}]}""");

    /// <summary>Sends part of an answer.</summary>
    public Task PartAsync(string text) => WriteAsync(text);

    public Task EventAsync(string type, string item) => WriteAsync($$$"""{"type":"{{{type}}}","object":{{{item}}}}""" + "\n");

    public async Task EndAsync(string text = "")
    {
        if (text.Length > 0) await call.Response.OutputStream.WriteAsync(Encoding.UTF8.GetBytes(text), Stop);
        call.Response.Close();
    }

    public Task RefuseAsync(int code, string reason, string? retryAfter = null)
    {
        call.Response.StatusCode = code;
        if (retryAfter is not null) call.Response.Headers["Retry-After"] = retryAfter;
        return EndAsync($$$"""{"kind":"Status","code":{{{code}}},"reason":"{{{reason}}}","message":"scripted"}""");
    }

    /// <summary>Ends the connection in the middle of an event.</summary>
    public async Task BreakAsync()
    {
        call.Response.ContentLength64 = 1000;
        await call.Response.OutputStream.WriteAsync("""{"type":"""u8.ToArray(), Stop);
        await call.Response.OutputStream.FlushAsync(Stop);
        call.Response.Abort();
    }

    private async Task WriteAsync(string text)
    {
        if (!call.Response.SendChunked) call.Response.SendChunked = true;
        await call.Response.OutputStream.WriteAsync(Encoding.UTF8.GetBytes(text), Stop);
        await call.Response.OutputStream.FlushAsync(Stop);
    }
}
