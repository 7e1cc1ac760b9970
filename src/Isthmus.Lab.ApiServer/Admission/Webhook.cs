using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.ApiServer.Objects;
using Isthmus.Lab.ApiServer.Registry;
using Isthmus.Lab.ApiServer.Storage;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.Admission;

/// <summary>One rule: which operations on which resources a webhook is called for, or a policy judges.</summary>
/// <param name="Names">Of objects; none: all.</param>
internal sealed record AdmissionRule(
    ValueList<string> Operations, ValueList<string> Groups, ValueList<string> Versions, ValueList<string> Resources, string Scope, ValueList<string> Names)
{
    /// <summary>Matches every request.</summary>
    public static ValueList<AdmissionRule> Everything { get; } = [new(["*"], ["*"], ["*"], ["*", "*/*"], "*", [])];

    public static ValueList<AdmissionRule> Read(JsonNode? rules) => Json.Objects(rules).Select(FromJson).ToValueList();

    private static AdmissionRule FromJson(JsonObject rule) => new(
        Json.Texts(rule["operations"]), Json.Texts(rule["apiGroups"]), Json.Texts(rule["apiVersions"]), Json.Texts(rule["resources"]),
        Json.Text(rule["scope"]), Json.Texts(rule["resourceNames"]));

    public bool Matches(string operation, KindDescriptor kind, string subresource, string name) =>
        Has(Operations, operation) && Has(Groups, kind.Group) && Has(Versions, kind.Version) && (Names.IsEmpty || Names.Contains(name))
        && Scope switch { "Cluster" => !kind.Namespaced, "Namespaced" => kind.Namespaced, _ => true }
        && Resources.Any(pattern => MatchesResource(pattern, kind.Plural, subresource));

    private static bool MatchesResource(string pattern, string plural, string subresource)
    {
        var slash = pattern.IndexOf('/', StringComparison.Ordinal);
        var (resource, sub) = slash < 0 ? (pattern, "") : (pattern[..slash], pattern[(slash + 1)..]);
        return (resource == "*" || resource == plural) && (sub == subresource || (slash > 0 && sub == "*"));
    }

    private static bool Has(ValueList<string> values, string value) => values.Contains("*") || values.Contains(value);
}

/// <summary>The location of a webhook: a Service in this cluster, or a URL.</summary>
/// <param name="Url">Set for one outside; then the Service's fields are empty.</param>
/// <param name="CaPem">Roots to trust; empty means the machine's.</param>
internal sealed record WebhookClient(string Url, string ServiceNamespace, string ServiceName, int ServicePort, string ServicePath, string CaPem)
{
    public bool IsService => Url.Length == 0;

    public static WebhookClient FromJson(JsonNode? config)
    {
        var service = config.At("service");
        return new(config.TextAt("url"), service.TextAt("namespace"), service.TextAt("name"),
            (int)(Json.Whole(service.At("port")) ?? 443), service.TextAt("path"), Pem(config.TextAt("caBundle")));
    }

    private static string Pem(string base64)
    {
        Span<byte> bytes = new byte[base64.Length];
        return Convert.TryFromBase64String(base64, bytes, out var count) ? System.Text.Encoding.ASCII.GetString(bytes[..count]) : "";
    }
}

/// <summary>One webhook of a configuration.</summary>
internal sealed record Webhook(
    string Name, WebhookClient Client, AdmissionMatch Match, bool FailOpen,
    bool SafeOnDryRun, int TimeoutSeconds, bool ReinvokeIfNeeded, string ReviewVersion, ValueList<NamedExpression> Conditions)
{
    public static ValueList<Webhook> Read(StoredObject configuration) =>
        Json.Objects(configuration.Parse()["webhooks"]).Select(FromJson).ToValueList();

    private static Webhook FromJson(JsonObject hook) => new(
        Json.Text(hook["name"]), WebhookClient.FromJson(hook["clientConfig"]),
        new(AdmissionRule.Read(hook["rules"]), [], Json.Text(hook["matchPolicy"]) != "Exact",
            LabelSelector.Read(hook["namespaceSelector"]), LabelSelector.Read(hook["objectSelector"])),
        Json.Text(hook["failurePolicy"]) == "Ignore",
        Json.Text(hook["sideEffects"]) is "None" or "NoneOnDryRun", (int)(Json.Whole(hook["timeoutSeconds"]) ?? 10),
        Json.Text(hook["reinvocationPolicy"]) == "IfNeeded",
        Json.Texts(hook["admissionReviewVersions"]).FirstOrDefault(version => version is "v1" or "v1beta1") ?? "v1",
        NamedExpression.Read(hook["matchConditions"]));
}
