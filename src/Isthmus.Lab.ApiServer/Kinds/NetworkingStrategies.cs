using System.Text.Json.Nodes;
using Isthmus.Lab.ApiServer.Objects;
using Isthmus.Lab.ApiServer.Registry;
using Isthmus.Lab.ApiServer.Validation;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.Kinds;

internal sealed class IngressStrategy : ObjectStrategy
{
    public override bool HasGeneration => true;

    public override IEnumerable<FieldError> Validate(JsonObject o, WriteContext context)
    {
        var spec = o["spec"];
        var rules = Json.Objects(spec.At("rules")).ToList();
        if (rules.Count == 0 && spec.At("defaultBackend") is null)
            yield return FieldError.Invalid("spec", spec?.DeepClone() ?? new JsonObject(), "either `defaultBackend` or `rules` must be specified");
        for (var r = 0; r < rules.Count; r++)
        {
            var host = Json.Text(rules[r]["host"]);
            var bare = host.StartsWith("*.", StringComparison.Ordinal) ? host[2..] : host;
            if (bare.Length > 0 && ObjectNames.SubdomainProblem(bare) is { } problem) yield return FieldError.Invalid($"spec.rules[{r}].host", host, problem);
            var p = 0;
            foreach (var path in Json.Objects(rules[r].At("http", "paths")))
            {
                var at = $"spec.rules[{r}].http.paths[{p++}]";
                if (path["pathType"] is null) yield return FieldError.Required($"{at}.pathType", "pathType must be specified");
                else foreach (var error in Check.OneOf($"{at}.pathType", path["pathType"], "Exact", "ImplementationSpecific", "Prefix")) yield return error;
                if (Json.Text(path["pathType"]) is "Exact" or "Prefix" && !Json.Text(path["path"]).StartsWith('/'))
                    yield return FieldError.Invalid($"{at}.path", Json.Text(path["path"]), "must be an absolute path");
            }
        }
    }

    protected override JsonObject InitialStatus(JsonObject o) => new() { ["loadBalancer"] = new JsonObject() };
}

internal sealed class NetworkPolicyStrategy : ObjectStrategy
{
    private const string NoEffect = "the network of a lab does not enforce NetworkPolicies: this one drops nothing";

    public override bool HasGeneration => true;

    public override void Default(JsonObject o)
    {
        var spec = o.Ensure("spec");
        foreach (var direction in (string[])["ingress", "egress"])
            foreach (var rule in Json.Objects(spec[direction]))
                foreach (var port in Json.Objects(rule["ports"])) port.Default("protocol", "TCP");
        if (spec["policyTypes"] is null)
            spec["policyTypes"] = spec["egress"] is JsonArray { Count: > 0 } ? new JsonArray("Ingress", "Egress") : new JsonArray("Ingress");
    }

    public override IEnumerable<FieldError> Validate(JsonObject o, WriteContext context)
    {
        if (!context.Warnings.Contains(NoEffect)) context.Warnings.Add(NoEffect);
        return Check.Selector("spec.podSelector", o.At("spec", "podSelector"));
    }
}

internal sealed class DisruptionBudgetStrategy : ObjectStrategy
{
    public override bool HasGeneration => true;

    public override IEnumerable<FieldError> Validate(JsonObject o, WriteContext context)
    {
        var spec = o["spec"];
        if (spec.At("minAvailable") is not null && spec.At("maxUnavailable") is not null)
            yield return FieldError.Invalid("spec", spec!.DeepClone(), "minAvailable and maxUnavailable cannot be both set");
        foreach (var field in (string[])["minAvailable", "maxUnavailable"])
            foreach (var error in Check.NonNegative($"spec.{field}", spec.At(field))) yield return error;
        foreach (var error in Check.Selector("spec.selector", spec.At("selector"))) yield return error;
    }

    protected override JsonObject InitialStatus(JsonObject o) => new()
    {
        ["disruptionsAllowed"] = 0,
        ["currentHealthy"] = 0,
        ["desiredHealthy"] = 0,
        ["expectedPods"] = 0,
    };
}
