using System.Text.Json.Nodes;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Model.GatewayApi;

namespace Isthmus.WebConsole.Answers;

/// <summary>Which objects of Istio and of the Gateway API decide what happens to calls of a service, as a pure function.</summary>
internal static class EffectiveRules
{
    public static readonly IReadOnlyList<KindDescriptor> Kinds = [.. MeshApi.For(KindUse.ConsoleRules)];

    /// <summary>The rules of one cluster, with what each does.</summary>
    public static IReadOnlyList<RuleRow> Of(string cluster, IEnumerable<JsonObject> objects, RuleSubject subject)
    {
        List<RuleObject> rules = [.. objects.Select(value => RuleObject.Read(value, cluster)).OfType<RuleObject>()];
        var routes = rules.Where(rule => rule.IsInForce).Select(rule => rule.Value).OfType<VirtualService>()
            .ToDictionary(service => new ObjectName(service.Namespace, service.Name));
        return [.. rules.Select(rule => (Rule: rule, Effect: Effect(rule, routes, subject))).Where(item => item.Effect.Text.Length > 0)
            .Select(item => Row(cluster, item.Rule, item.Effect))];
    }

    /// <summary>Marks rules that another one overrides, or that other clusters have in another form, beside what is wrong with them alone.</summary>
    public static IReadOnlyList<RuleRow> Mark(IReadOnlyList<RuleRow> rows) =>
        [.. rows.Select(row => row with { Conflict = Both(row.Conflict, Conflict(row, rows)) })];

    private static string Both(string one, string other) => string.Join("; ", ((string[])[one, other]).Where(text => text.Length > 0));

    private static RuleRow Row(string cluster, RuleObject rule, RuleEffect effect) =>
        new(cluster, rule.Kind.Name, rule.Source.Namespace, rule.Source.Name, effect.Text, Both(rule.Verdict(), effect.Refusal), rule.ToYaml())
        {
            Rule = rule.IsInForce ? effect : RuleEffect.None,
        };

    private static RuleEffect Effect(RuleObject rule, IReadOnlyDictionary<ObjectName, VirtualService> routes, RuleSubject subject) => rule.Value switch
    {
        VirtualService service => RouteEffects.Of(service, routes, subject),
        ApiRoute route => RouteEffects.Of(route, subject),
        DestinationRule settings => PolicyEffects.Of(settings, subject),
        PeerAuthentication policy => PolicyEffects.Of(policy, subject),
        RequestAuthentication policy => PolicyEffects.Of(policy, rule.IsInForce, subject),
        AuthorizationPolicy policy => PolicyEffects.Of(policy, rule.IsInForce, subject),
        // Nobody can say for which hosts it was meant: most are for those of their own namespace.
        null when rule.Source.Namespace == subject.Namespace => new("cannot be read"),
        _ => RuleEffect.None,
    };

    private static string Conflict(RuleRow row, IReadOnlyList<RuleRow> rows)
    {
        var others = rows.Where(other => other.Kind == row.Kind && other != row).ToList();
        if (others.FirstOrDefault(other => other.Cluster != row.Cluster && other.Namespace == row.Namespace && other.Name == row.Name
            && other.Yaml != row.Yaml) is { } different)
            return $"{different.Cluster} has another version of it";
        var here = others.Where(other => other.Cluster == row.Cluster).ToList();
        if (row.Rule.Routes is { } calls && here.FirstOrDefault(other => other.Rule.Routes?.Shares(calls) == true) is { } rival)
            return $"{row.Kind} {rival.Namespace}/{rival.Name} is for the same host: only one of the two has an effect";
        return here.FirstOrDefault(other => other.Rule.DecidesMode > row.Rule.DecidesMode) is { } stronger
            ? $"{row.Kind} {stronger.Namespace}/{stronger.Name} overrides it"
            : "";
    }
}
