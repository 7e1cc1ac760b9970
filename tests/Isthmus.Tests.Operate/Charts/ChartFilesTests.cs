using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Operate.Install;
using Isthmus.Operate.Install.Operator;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Operate.Charts;

/// <summary>What the folders of the charts hold.</summary>
public sealed class ChartFilesTests
{
    /// <summary>Generated: <c>./test --accept</c> writes them.</summary>
    [Fact]
    public void Generated_files_of_the_charts_are_up_to_date()
    {
        var definitions = Manifests.Render(OperatorSpec.Build([], ["profile=minimal"],
            null))[0].Objects.Where(value => value["kind"]!.ToString() == "CustomResourceDefinition")
            .Select(value => (JsonObject)value.DeepClone()).ToList();
        // Without its definition, each object of a kind would be deleted when the release is uninstalled.
        foreach (var definition in definitions) definition["metadata"]!["annotations"] = new JsonObject { ["helm.sh/resource-policy"] = "keep" };
        Golden.VerifyFile(string.Join("---\n", definitions.Select(YamlText.Print)), Repository.At("charts/base/files/crd-all.gen.yaml"));
        var gatewayApi = GatewayApiBundle.Build().ToList();
        foreach (var one in gatewayApi) one["metadata"]!["annotations"]!["helm.sh/resource-policy"] = "keep";
        Golden.VerifyFile(string.Join("---\n", gatewayApi.Select(YamlText.Print)), Repository.At("charts/base/files/gateway-api.gen.yaml"));
        Golden.VerifyFile(KnownValues().ToJsonString(new JsonSerializerOptions { WriteIndented = true }), Repository.At("charts/istiod/files/values.json"));
    }

    [Fact]
    public void Charts_have_one_version_and_one_way_to_refuse_values()
    {
        string[] charts = ["base", "cni", "istiod", "gateway"];
        Assert.Equal(charts.Order(StringComparer.Ordinal),
            Directory.EnumerateDirectories(Repository.At("charts")).Select(Path.GetFileName).Order(StringComparer.Ordinal)!);
        foreach (var chart in charts)
        {
            // The version is in Directory.Build.props only: this copies it.
            var page = Repository.At($"charts/{chart}/Chart.yaml");
            Golden.VerifyFile(Regex.Replace(File.ReadAllText(page), "(?m)^(version|appVersion): .*$", $"$1: {BuildVersion.Current}"), page);
            var about = YamlText.Parse(File.ReadAllText(Repository.At($"charts/{chart}/Chart.yaml")), chart)!;
            Assert.Equal((chart, BuildVersion.Current, BuildVersion.Current),
                (about["name"]!.ToString(), about["version"]!.ToString(), about["appVersion"]!.ToString()));
            Assert.Equal(File.ReadAllText(Repository.At("charts/base/templates/_values.tpl")),
                File.ReadAllText(Repository.At($"charts/{chart}/templates/_values.tpl")));
        }
    }

    /// <summary>The values of the chart istiod that have an effect: those of <c>isthmus install</c> without gateways and replicated control planes.</summary>
    internal static JsonObject KnownValues()
    {
        var known = new JsonObject();
        foreach (var (path, keys) in ValuesSchema.Effective.Where(known => known.Path.StartsWith("values", StringComparison.Ordinal))
            .OrderBy(known => known.Path, StringComparer.Ordinal))
        {
            if (path.StartsWith("values.gateways", StringComparison.Ordinal) || path == "values.cni" || path.StartsWith("values.cni.", StringComparison.Ordinal)
                || path.StartsWith("values.istiocoredns", StringComparison.Ordinal))
                continue;
            var effective = path switch
            {
                "values" => keys.Except(["cni", "gateways", "istiocoredns"]).Append("revision"),
                "values.global.multiCluster" => keys.Intersect(["clusterName"]),
                "values.istiodRemote" => keys.Append("enabled"),
                "values.base" => keys.Except(["enableGatewayAPICRDs"]),
                _ => keys,
            };
            known[path == "values" ? "" : path["values.".Length..]] = new JsonArray([.. effective.Order(StringComparer.Ordinal).Select(key => (JsonNode)key)]);
        }
        return known;
    }
}
