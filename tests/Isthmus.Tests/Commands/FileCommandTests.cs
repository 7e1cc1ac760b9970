using System.Text.Json.Nodes;
using Isthmus.Commands;
using Xunit;

namespace Isthmus.Tests.Commands;

/// <summary>Commands that need no cluster when they are given a file.</summary>
public sealed class FileCommandTests : IDisposable
{
    private const string Dump = """
        {"configs": [
          {"@type": "type.googleapis.com/envoy.admin.v3.BootstrapConfigDump",
           "bootstrap": {"node": {"id": "sidecar~1.2.3.4~web.shop~shop.svc", "metadata": {"ISTIO_VERSION": "1.14.6"},
             "user_agent_build_version": {"version": {"major_number": 1, "minor_number": 22, "patch": 2}}}}},
          {"@type": "type.googleapis.com/envoy.admin.v3.ClustersConfigDump", "dynamic_active_clusters": [{"cluster": {"name": "outbound|80|v1|web.shop.svc.cluster.local", "type": "EDS"}}]},
          {"@type": "type.googleapis.com/envoy.admin.v3.ListenersConfigDump",
           "dynamic_listeners": [{"name": "virtualInbound",
             "active_state": {"listener": {"name": "virtualInbound", "address": {"socket_address": {"address": "0.0.0.0", "port_value": 15006}},
               "filter_chains": [
            {"filters": [{"typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.network.rbac.v3.RBAC", "rules": {"policies": {"ns[shop]-policy[open]-rule[0]": {}}}}}]}]}}}]},
          {"@type": "type.googleapis.com/envoy.admin.v3.RoutesConfigDump"},
          {"@type": "type.googleapis.com/envoy.admin.v3.SecretsConfigDump"},
          {"@type": "type.googleapis.com/envoy.admin.v3.EcdsConfigDump",
           "ecds_filters": [{"ecds_filter": {"@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig", "name": "shop.filter",
              "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm"}}}]}]}
        """;

    private readonly string _directory = Directory.CreateTempSubdirectory("isthmus-files-").FullName;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public async Task Parts_of_a_proxy_come_from_a_dump_in_a_file()
    {
        var file = await FileAsync("dump.json", Dump);
        Assert.Equal("Istio Version: 1.14.6\nProxy Version: 1.22.2\n", (await RunAsync("proxy-config", "bootstrap", "--file", file, "-o", "short")).Output);
        Assert.Equal("sidecar~1.2.3.4~web.shop~shop.svc",
            JsonNode.Parse((await RunAsync("pc", "b", "-f", file)).Output)!["bootstrap"]!["node"]!["id"]!.ToString());
        Assert.Contains("web.shop.svc.cluster.local", (await RunAsync("pc", "clusters", "--file", file)).Output, StringComparison.Ordinal);
        Assert.Contains("15006", (await RunAsync("pc", "listeners", "--file", file)).Output, StringComparison.Ordinal);
        Assert.Contains("shop.filter     Wasm", (await RunAsync("pc", "ecds", "--file", file)).Output, StringComparison.Ordinal);
        Assert.Contains("ALLOW      open.shop               1", (await RunAsync("x", "authz", "check", "--file", file)).Output, StringComparison.Ordinal);
        Assert.Equal("open.shop", JsonNode.Parse((await RunAsync("authz", "check", "--file", file, "-o", "json")).Output)![0]!["policy"]!.ToString());
        var neither = await RunAsync("pc", "clusters");
        Assert.Equal((2, "Error: pod: is missing (name a Pod, or give a file with --file)\n"), (neither.ExitCode, neither.Error));
        var both = await RunAsync("pc", "clusters", "web", "--file", file);
        Assert.Equal((2, "Error: --file: cannot be combined with a Pod (name a Pod, or give a file with --file)\n"), (both.ExitCode, both.Error));
        var broken = await RunAsync("pc", "routes", "--file", await FileAsync("broken.json", "{"));
        Assert.Equal((1, true), (broken.ExitCode, broken.Error.Contains("is not JSON", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task Validation_says_what_admission_would_say()
    {
        var good = await FileAsync("good.yaml",
            "{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: web, namespace: shop}, spec: {host: web}}");
        Assert.Equal((0, $"\"{good}\" is valid\n", ""), await RunAsync("validate", "-f", good));
        var bad = await FileAsync("bad.yaml",
            "{apiVersion: networking.istio.io/v1, kind: Gateway, metadata: {name: front}, spec: {selector: {a: b}, servers: [{port: {number: 99999, name: "
                + "http, protocol: HTTP}, hosts: [web]}]}}");
        var refused = await RunAsync("v", "-f", good, "-f", bad, "-n", "shop");
        Assert.Equal((1, $"\"{good}\" is valid\n"), (refused.ExitCode, refused.Output));
        Assert.StartsWith($"Error: \"{bad}\": 1 error occurred:\n\t* Gateway/shop/front: spec.servers[0].port.number: ", refused.Error,
            StringComparison.Ordinal);
        var warned = await FileAsync("warned.yaml",
            "{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: web, namespace: shop}, spec: {host: web, trafficPolicy: {tls: {mode: "
                + "SIMPLE, insecureSkipVerify: true}}}}");
        Assert.StartsWith($"\"{warned}\" has warnings:\n\t* DestinationRule/shop/web: spec.trafficPolicy.tls.insecureSkipVerify: ",
            (await RunAsync("validate", "-f", warned)).Output, StringComparison.Ordinal);
        var tree = JsonNode.Parse((await RunAsync("validate", "-f", $"{good},{bad}", "-o", "json")).Output)!.AsArray();
        Assert.Equal([true, false], tree.Select(file => (bool)file!["valid"]!));
        Assert.Equal(1, (await RunAsync("validate", "-f", Path.Combine(_directory, "none.yaml"))).ExitCode);
        Assert.Equal(2, (await RunAsync("validate")).ExitCode);
    }

    [Theory]
    [InlineData("migrate check -f NONE", "Error: NONE: does not exist (check the file's name)")]
    [InlineData("migrate check -f NONE.yaml", "Error: NONE.yaml: does not exist (check the file's name)")]
    [InlineData("analyze --use-kube=false NONE", "Error: NONE: does not exist (check the file's name)")]
    [InlineData("proxy-config clusters --file NONE.json", "Error: --file NONE.json: does not exist (check the file's name)")]
    [InlineData("verify --snapshot NONE", "Error: --snapshot NONE: does not exist (give the file that 'isthmus bug-report' wrote)")]
    public async Task A_file_that_does_not_exist_is_an_error_that_names_it(string arguments, string told)
    {
        var none = Path.Combine(_directory, "none");
        var (code, output, error) = await RunAsync([.. arguments.Split(' ').Select(word => word.Replace("NONE", none, StringComparison.Ordinal))]);
        Assert.Equal((1, "", told.Replace("NONE", none, StringComparison.Ordinal)), (code, output, error.TrimEnd()));
    }

    [Theory]
    [InlineData("web-1.shop", null, null, true)]
    [InlineData("web-1.shop", null, "shop", true)]
    [InlineData("web-1.shop", null, "hop", false)]
    [InlineData("web-1.shop", "web", "other", false)]
    [InlineData("web-1.shop", "web", "shop", true)]
    [InlineData("web-1.shop", "web-1.shop", "other", true)] // The name says more.
    public void Proxy_status_shows_the_proxies_of_the_namespace_that_is_asked_for(string proxy, string? pod, string? ns, bool isShown) =>
        Assert.Equal(isShown, ProxyStatusCommand.IsAsked(proxy, pod, ns));

    /// <summary>Names and values that move the cursor, color what follows, or look like lines of their own.</summary>
    [Fact]
    public async Task What_others_have_named_is_printed_as_text()
    {
        const string evil = "a\\u001b[2J\\u009b31m\\r\\u202e";
        var dump = await FileAsync("evil.json", Dump.Replace("|v1|", $"|{evil}|", StringComparison.Ordinal)
            .Replace("shop.filter", evil, StringComparison.Ordinal).Replace("\"virtualInbound\"", $"\"{evil}\"", StringComparison.Ordinal)
            .Replace("ns[shop]-policy[open]-rule[0]", $"ns[shop]-policy[{evil}]-rule[0]", StringComparison.Ordinal));
        var objects = await FileAsync("evil.yaml", """
            {"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": {"name": "webEVIL", "namespace": "shop"}, "spec": {"hosts": ["web"], "http": [
              {"name": "EVIL", "match": [{"headers": {"EVIL": {"exact": "EVIL"} } }], "route": [{"destination": {"host": "nowhereEVIL", "subset": "EVIL"} }] }] } }
            """.Replace("EVIL", evil, StringComparison.Ordinal));
        foreach (var arguments in (string[][])[["pc", "clusters", "-f", dump], ["pc", "listeners", "-f", dump, "-o", "json"], ["pc", "ecds", "-f", dump],
            ["pc", "all", "-f", dump, "-o", "json"], ["pc", "all", "-f", dump, "-o", "yaml"], ["authz", "check", "-f", dump], ["validate", "-f", objects],
            ["analyze", "--use-kube=false", objects], ["analyze", "--use-kube=false", "-o", "json", objects],
            ["validate", "-f", Path.Combine(_directory, "a\u001b[2J.yaml")], ["\u001b[2J"]])
        {
            var (_, output, error) = await RunAsync(arguments);
            var printed = (output + error).ReplaceLineEndings("\n");
            Assert.DoesNotContain(printed, c => (char.IsControl(c) && c is not ('\n' or '\t')) || c == '\u202e');
            Assert.True(printed.Contains("\\x1b[2J", StringComparison.Ordinal) || printed.Contains("\\u001b[2J", StringComparison.OrdinalIgnoreCase)
                || printed.Contains("\\e[2J", StringComparison.Ordinal), $"{string.Join(' ', arguments)}: {printed}");
        }
    }

    private async Task<string> FileAsync(string name, string text)
    {
        var path = Path.Combine(_directory, name);
        await File.WriteAllTextAsync(path, text, Stop);
        return path;
    }

    private static Task<(int ExitCode, string Output, string Error)> RunAsync(params string[] arguments) => StartedProgram.RunAsync(arguments, Stop);
}
