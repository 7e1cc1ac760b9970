using System.Text.Json.Nodes;
using Xunit;

namespace Isthmus.Tests.Commands;

/// <summary>The command itself, on files alone.</summary>
public sealed class AnalyzeCommandTests : IDisposable
{
    private const string Warned =
        "{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: web, namespace: shop}, spec: {host: web, trafficPolicy: {tls: {mode: "
            + "SIMPLE, insecureSkipVerify: true}}}}";
    private const string Wrong =
        "{apiVersion: networking.istio.io/v1, kind: Gateway, metadata: {name: front}, spec: {selector: {a: b}, servers: [{port: {number: 99999, name: http, "
            + "protocol: HTTP}, hosts: [web]}]}}";

    private readonly string _file = Path.Combine(Directory.CreateTempSubdirectory("isthmus-analyze-").FullName, "test.yaml");

    private string Silent =>
        $"✔ No validation issues found when analyzing {_file}.\nObjects do not show everything: 'isthmus trace' follows a call, and 'isthmus verify' checks "
            + $"what runs.\n";

    public void Dispose() => Directory.Delete(Path.GetDirectoryName(_file)!, recursive: true);

    [Fact]
    public async Task Levels_decide_what_is_printed_and_the_exit_code()
    {
        await File.WriteAllTextAsync(_file, Warned, TestContext.Current.CancellationToken);
        var printed = await RunAsync();
        Assert.Equal((0, true),
            (printed.ExitCode,
                printed.Output.StartsWith($"Warning [IST0133] (DestinationRule shop/web {_file}:1) spec.trafficPolicy.tls.insecureSkipVerify: ",
                    StringComparison.Ordinal)));
        Assert.Equal(79, (await RunAsync("--failure-threshold", "warning")).ExitCode);
        var silent = await RunAsync("--output-threshold=Error", "--failure-threshold=Warning", "--verbose");
        Assert.Equal((79, Silent), (silent.ExitCode, silent.Output));
        Assert.Contains("Executed analyzers:\n\tcluster.AccessAnalyzer\n", silent.Error, StringComparison.Ordinal);
        Assert.Equal((0, Silent), await Brief("--suppress", "IST0133=DestinationRule *.shop", "--failure-threshold=Info"));
        Assert.Equal((0, Silent), await Brief("-n", "other"));
        Assert.StartsWith("\e[33mWarning\e[0m [IST0133]", (await RunAsync("--color=true")).Output, StringComparison.Ordinal);
        Assert.Equal("IST0133", (string?)JsonNode.Parse((await RunAsync("-o", "json")).Output)![0]!["code"]);
        Assert.StartsWith("Warning: --suppress: 'IST9999' is not a code", (await RunAsync("-S", "IST9999=Pod a.b")).Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_cannot_be_read_is_an_error_unless_it_is_to_be_ignored()
    {
        await File.WriteAllTextAsync(_file, $"{Wrong}\n---\nnonsense", TestContext.Current.CancellationToken);
        var both = await RunAsync();
        Assert.Equal((79, true), (both.ExitCode, both.Error.Contains($"Error: {_file}:3: is not a Kubernetes object", StringComparison.Ordinal)));
        Assert.Contains("(Gateway default/front ", both.Output, StringComparison.Ordinal);
        Assert.Equal(1, (await RunAsync("-S", "IST0106=*")).ExitCode);
        Assert.Equal((0, ""), ((await RunAsync("-S", "IST0106=*", "--ignore-unknown")).ExitCode, (await RunAsync("--ignore-unknown")).Error));
    }

    /// <summary>With a namespace, as developers call it: of what was not read, nothing is known.</summary>
    [Fact]
    public async Task A_cluster_that_cannot_be_read_is_said_whatever_is_chosen()
    {
        using var nobody = new Isthmus.Testing.ReservedPort();
        await File.WriteAllTextAsync(_file, $$$"""
            {apiVersion: v1, kind: Config, current-context: far, users: [{name: u, user: {} }], contexts: [{name: far, context: {cluster: c, user: u}}],
             clusters: [{name: c, cluster: {server: "http://127.0.0.1:{{{nobody.Number}}}"}}]}
            """, TestContext.Current.CancellationToken);
        foreach (var chosen in (string[][])[[], ["-n", "shop"], ["-n", "shop", "--output-threshold=Error"]])
        {
            var (code, output, _) = await AnalyzeAsync(["--kubeconfig", _file, .. chosen]);
            Assert.Equal(79, code);
            Assert.StartsWith("Error [ISM1400] (cluster far far) cannot be read: ", output, StringComparison.Ordinal);
        }
        var hidden = await AnalyzeAsync(["--kubeconfig", _file, "-n", "shop", "-S", "ISM1400=cluster *"]);
        Assert.Equal("✘ Nothing was analyzed.\n", hidden.Output);
        Assert.StartsWith("Warning: far was not analyzed, because it cannot be read: ", hidden.Error, StringComparison.Ordinal);
    }

    private async Task<(int ExitCode, string Output)> Brief(params string[] arguments)
    {
        var (code, output, _) = await RunAsync(arguments);
        return (code, output);
    }

    private Task<(int ExitCode, string Output, string Error)> RunAsync(params string[] arguments) =>
        AnalyzeAsync(["--use-kube=false", _file, .. arguments]);

    private static Task<(int ExitCode, string Output, string Error)> AnalyzeAsync(IEnumerable<string> arguments) =>
        StartedProgram.RunAsync(["analyze", .. arguments], TestContext.Current.CancellationToken);
}
