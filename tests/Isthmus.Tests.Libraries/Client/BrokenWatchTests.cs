using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Watch;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Libraries.Client;

/// <summary>An API server that goes away during a watch.</summary>
public sealed class BrokenWatchTests
{
    [Fact]
    public async Task A_watch_that_broke_goes_on_after_its_last_event_and_not_after_the_list()
    {
        using var server = LocalHttp.Start(out var address);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        using var client = new KubeClient(new ClusterAccess { Server = address });
        var informer = new Informer<Namespace>(client, Kinds.Namespace, new InformerSettings { FirstBackoff = TimeSpan.FromMilliseconds(1) },
            TimeProvider.System);
        var seen = new List<string>();
        var run = informer.RunAsync(changes =>
        {
            seen.AddRange(changes.Select(change => $"{change.Key} {change.Object?.Metadata.ResourceVersion}"));
            return ValueTask.CompletedTask;
        },
            stop.Token);

        await AnswerAsync(await server.GetContextAsync(), $$$"""{"metadata":{"resourceVersion":"10"},"items":[{{{One("7")}}}]}""");
        var watch = await server.GetContextAsync();
        Assert.Equal("10", watch.Request.QueryString["resourceVersion"]);
        watch.Response.SendChunked = true;
        await watch.Response.OutputStream.WriteAsync(Encoding.UTF8.GetBytes($$$"""{"type":"MODIFIED","object":{{{One("20")}}}}""" + "\n"), stop.Token);
        await watch.Response.OutputStream.FlushAsync(stop.Token);
        await Eventually.TrueAsync(() => seen.Count == 2);
        watch.Response.Abort();

        Assert.Equal("20", (await server.GetContextAsync()).Request.QueryString["resourceVersion"]);
        Assert.Equal(["one 7", "one 20"], seen);
        await stop.CancelAsync();
        server.Close();
        await run;
    }

    [Theory]
    [InlineData("[]")]
    [InlineData("5")]
    [InlineData("null")]
    [InlineData("""{"items":5}""")]
    [InlineData("""{"metadata":"x","items":[{"metadata":5}]}""")]
    [InlineData("""{"metadata":{"resourceVersion":{}},"items":[{"metadata":{"name":[],"labels":7}}]}""")]
    [InlineData("<html>")]
    public async Task An_address_where_something_else_answers_is_told_of_and_asked_again(string answer)
    {
        using var server = LocalHttp.Start(out var address);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        using var client = new KubeClient(new ClusterAccess { Server = address });
        var informer = new Informer<JsonObject>(client, Kinds.Namespace, new InformerSettings { FirstBackoff = TimeSpan.FromMilliseconds(1) },
            TimeProvider.System);
        var run = informer.RunAsync(_ => ValueTask.CompletedTask, stop.Token);
        await AnswerAsync(await server.GetContextAsync(), answer);
        await AnswerAsync(await server.GetContextAsync(), answer);
        Assert.NotNull(informer.LastError);
        await stop.CancelAsync();
        server.Close();
        await run;
    }

    private static string One(string version) => $$$"""{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"one","resourceVersion":"{{{version}}}"}}""";

    private static async Task AnswerAsync(HttpListenerContext call, string text)
    {
        await call.Response.OutputStream.WriteAsync(Encoding.UTF8.GetBytes(text), TestContext.Current.CancellationToken);
        call.Response.Close();
    }
}
