using System.Diagnostics;
using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Operate.Charts;

/// <summary>One <c>helm template</c>: a chart, the name and namespace of the release, and its values.</summary>
/// <param name="IsUpgrade">Whether it replaces a release, as <c>helm upgrade</c> does.</param>
internal sealed record ChartRelease(string Chart, string Name, string Namespace, JsonObject Values, bool IsUpgrade = false);

/// <summary>The objects of a release, or why a template refused its values.</summary>
internal sealed record ChartResult(IReadOnlyList<JsonObject> Objects, string Error);

/// <summary>Renders charts with Go's templates, as Helm does.</summary>
internal static class HelmRenderer
{
    internal static async Task<IReadOnlyList<ChartResult>> RenderAsync(IReadOnlyList<ChartRelease> releases)
    {
        var input = new JsonArray([.. releases.Select(release => (JsonNode)new JsonObject
        {
            ["chart"] = $"charts/{release.Chart}", ["name"] = release.Name, ["namespace"] = release.Namespace, ["values"] = release.Values.DeepClone(),
            ["upgrade"] = release.IsUpgrade,
        })]);
        using var program = Process.Start(new ProcessStartInfo(Repository.At("tools/charts/render"))
        {
            RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true
        })!;
        var (output, error) = (program.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken),
            program.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken));
        await program.StandardInput.WriteAsync(input.ToJsonString());
        program.StandardInput.Close();
        var text = await output;
        await program.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.True(program.ExitCode == 0, $"tools/charts/render ended with {program.ExitCode}: {await error}");
        return [.. JsonNode.Parse(text)!.AsArray().Select(result => new ChartResult(Objects(result!["files"]), result["error"]!.ToString()))];
    }

    private static List<JsonObject> Objects(JsonNode? files) =>
    [
        .. (files as JsonObject ?? []).Where(file => !file.Key.EndsWith(".txt", StringComparison.Ordinal))
            .SelectMany(file => YamlText.ParseAll(file.Value!.ToString(), file.Key)).OfType<JsonObject>(),
    ];
}
