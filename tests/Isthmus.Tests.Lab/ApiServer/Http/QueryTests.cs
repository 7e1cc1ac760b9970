using System.Diagnostics;
using Isthmus.Lab.ApiServer.Streaming;
using Isthmus.Rigs.Servers;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.WebUtilities;
using Xunit;

namespace Isthmus.Tests.Lab.ApiServer.Http;

/// <summary>Query parameters in the forms that client libraries send.</summary>
public sealed class QueryTests(RunningApiServer server) : IClassFixture<RunningApiServer>
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("true", true)]
    [InlineData("True", true)]
    [InlineData("1", true)]
    [InlineData("yes", true)]
    [InlineData("", true)]
    [InlineData("false", false)]
    [InlineData("False", false)]
    [InlineData("0", false)]
    public async Task Every_form_of_true_makes_a_watch(string value, bool isWatch)
    {
        var maps = $"/api/v1/namespaces/{await server.NamespaceAsync()}/configmaps";
        await server.SendAsync("POST", maps, """{"metadata":{"name":"a"}}""");
        var answer = await server.Admin.GetStringAsync($"{maps}?watch={value}&timeoutSeconds=1", Stop);
        Assert.Equal(isWatch, answer.Contains("\"type\":\"ADDED\"", StringComparison.Ordinal));
        Assert.Equal(isWatch, !answer.Contains("\"kind\":\"ConfigMapList\"", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Of_a_repeated_parameter_the_first_counts()
    {
        var pods = $"/api/v1/namespaces/{await server.NamespaceAsync()}/pods";
        await server.SendAsync("POST", pods, """{"metadata":{"name":"web"},"spec":{"nodeName":"node","containers":[{"name":"web","image":"web"}]}}""");
        var (_, first) = await server.SendAsync("GET", $"{pods}/web/log?container=web&container=other");
        Assert.StartsWith("node node is not reachable", ((string?)first["message"])!.Replace("Internal error occurred: ", "", StringComparison.Ordinal));
        var (_, wrong) = await server.SendAsync("GET", $"{pods}/web/log?container=other&container=web");
        Assert.Equal("container other is not valid for pod web", (string?)wrong["message"]);
    }

    [Theory]
    [InlineData("?stdout=true&stderr=1", "v4.channel.k8s.io", "1 2 3")]
    [InlineData("?stdin=True&stdout=True&stderr=False", "v4.channel.k8s.io", "0 1 3")]
    [InlineData("?stdin=&stdout=true&stderr=true&tty=True", "v4.channel.k8s.io", "0 1 3 4")]
    [InlineData("?stdout=true&tty=true", "v2.channel.k8s.io", "1 3")]
    public void Over_SPDY_the_streams_that_a_query_switches_on_are_awaited(string query, string protocol, string channels) =>
        Assert.Equal(channels, string.Join(' ', SpdyClient.Expected(new QueryCollection(QueryHelpers.ParseQuery(query)), protocol).Order()));

    [Fact]
    public async Task Pythons_client_watches()
    {
        var ns = await server.NamespaceAsync();
        await server.SendAsync("POST", $"/api/v1/namespaces/{ns}/configmaps", """{"metadata":{"name":"a"}}""");
        var config = await server.KubeconfigAsync();
        const string script = """
            import sys
            from kubernetes import client, config, watch
            config.load_kube_config(sys.argv[1])
            maps = watch.Watch()
            for event in maps.stream(client.CoreV1Api().list_namespaced_config_map, sys.argv[2], timeout_seconds=30):
                print(event["type"], event["object"].metadata.name, flush=True)
                if event["object"].metadata.name == "b": maps.stop()
                else: client.CoreV1Api().create_namespaced_config_map(sys.argv[2], client.V1ConfigMap(metadata=client.V1ObjectMeta(name="b")))
            """;
        using var python = Process.Start(new ProcessStartInfo("/usr/bin/python3",
            ["-W", "ignore", "-c", script, config, ns]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        var errors = python.StandardError.ReadToEndAsync(Stop);
        var output = await python.StandardOutput.ReadToEndAsync(Stop);
        await python.WaitForExitAsync(Stop);
        File.Delete(config);
        Assert.True(python.ExitCode == 0, await errors);
        Assert.Equal("ADDED a\nADDED b\n", output);
    }
}
