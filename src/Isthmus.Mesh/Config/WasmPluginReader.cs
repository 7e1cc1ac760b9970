using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Mesh.Model;

namespace Isthmus.Mesh.Config;

/// <summary>Reads WasmPlugins.</summary>
internal static class WasmPluginReader
{
    public static WasmPlugin Read(ObjectReading of)
    {
        var (source, spec, createdAt) = (of.Source, of.Spec, of.CreatedAt);
        var version = of.Object["metadata"]?["resourceVersion"] is JsonValue written && written.TryGetValue<string>(out var text) ? text : "";
        var target = WorkloadTarget.Read(spec, spec["selector"]["matchLabels"]);
        if (spec["url"].Text.Length == 0) spec["url"].Error("must be set", "write where the module is, for example oci://registry.example/filters/auth:v1");
        spec.Findings.OnlyEnvoys("kind", "proxies of Isthmus run no Wasm: the plugin",
            "decide in an external authorizer (AuthorizationPolicy with action CUSTOM)");
        return new(source, target, Module(spec, version), Phase(spec["phase"].Text),
            Failure(spec["failStrategy"].Text), spec["type"].Text == "NETWORK", createdAt)
        {
            Priority = spec["priority"].Int,
            Matches = spec["match"].Items.Select(Match).ToValueList(),
        };
    }

    private static PluginModule Module(Field spec, string version)
    {
        var url = spec["url"].Text;
        var variables = spec["vmConfig"]["env"].Items.DistinctBy(variable => variable["name"].Text).ToList();
        foreach (var variable in variables.Where(variable => variable["name"].Text.StartsWith(WasmVariables.Prefix, StringComparison.Ordinal)))
            variable["name"].Error($"begins with {WasmVariables.Prefix}: such variables are for agents, and no module gets them", "choose another name");
        if (spec["pluginConfig"] is { Exists: true, Node: not JsonObject } wrong) wrong.Error("must be an object");
        return new(url.Contains("://", StringComparison.Ordinal) ? url : $"oci://{url}", spec["sha256"].Text,
            spec["imagePullPolicy"].Text is "UNSPECIFIED_POLICY" ? "" : spec["imagePullPolicy"].Text, spec["imagePullSecret"].Text)
        {
            Config = spec["pluginConfig"].Node is JsonObject { Count: > 0 } config ? config.ToJsonString() : "",
            RootId = spec["pluginName"].Text,
            Environment = variables.Where(variable => variable["valueFrom"].Text != "HOST")
                .Select(variable => KeyValuePair.Create(variable["name"].Text, variable["value"].Text)).ToValueMap(),
            HostEnvironment = variables.Where(variable => variable["valueFrom"].Text == "HOST").Select(variable => variable["name"].Text).ToValueList(),
            Version = version,
        };
    }

    private static PluginMatch Match(Field match) =>
        new(match["mode"].Text != "SERVER", match["mode"].Text != "CLIENT", match["ports"].Items.Select(port => port["number"].Int ?? 0).ToValueList());

    private static PluginPhase Phase(string text) =>
        text switch { "AUTHN" => PluginPhase.Authn, "AUTHZ" => PluginPhase.Authz, "STATS" => PluginPhase.Stats, _ => PluginPhase.Unspecified };

    private static PluginFailure Failure(string text) =>
        text switch { "FAIL_OPEN" => PluginFailure.Open, "FAIL_RELOAD" => PluginFailure.Reload, _ => PluginFailure.Close };
}
