using System.Text;

namespace Isthmus.Tests.Effects.GatewayApi;

/// <summary>The part of docs/api.md about the Gateway API and multi-cluster services.</summary>
internal static class GatewayApiPage
{
    private const string Legend =
        "Every field of the kinds of the [Gateway API](reference/gateway-api.md): of the definitions of the standard channel of v1.6.1, which an installation "
        + "can bring, of the experimental channel, and what v1.7 adds for them. A field *works* if proxies get something else without it, other objects are "
        + "made for a Gateway, or statuses say something else: a test shows that for each, with the samples in "
        + "`tests/Isthmus.Tests.Effects/samples/gateway-api`. What is *refused* has no effect, and the status of the object says so in the words of the "
        + "table. *channel* is which definitions have the field. The definitions check values; unlike Istio's kinds, those of the Gateway API have no webhook.";

    private const string Services =
        "The kinds of [multi-cluster services](discovery.md#kubernetes-multi-cluster-services-api). Control planes write ServiceImports "
        + "and their EndpointSlices; *written* is what they say of an export there.";

    internal static void AppendTo(StringBuilder page)
    {
        var kinds = GatewayApiFields.All.GroupBy(field => field.Kind).ToLookup(kind => kind.Key.StartsWith("Service", StringComparison.Ordinal));
        Section(page, "Gateway API", Legend, kinds[false]);
        Section(page, "Multi-cluster services", Services, kinds[true]);
    }

    private static void Section(StringBuilder page, string title, string legend, IEnumerable<IGrouping<string, GatewayApiField>> kinds)
    {
        page.Append("\n## ").Append(title).Append("\n\n").Append(legend).Append('\n');
        foreach (var kind in kinds)
        {
            page.Append("\n### ").Append(kind.Key).Append("\n\n| field | here | channel |\n|---|---|---|\n");
            foreach (var field in kind)
                page.Append("| `").Append(field.Path.Length > 0 ? field.Path : "(every field)").Append("` | ").Append(Word(field)).Append(" | ")
                    .Append(field.Channel).Append(" |\n");
        }
    }

    private static string Word(GatewayApiField field) => field.Answer switch
    {
        GatewayApiFields.Works or GatewayApiFields.Written => field.Words.Length > 0 ? field.Words : field.Answer,
        GatewayApiFields.Refused => $"refused: {field.Words}",
        _ => $"no effect: {field.Words}",
    };
}
