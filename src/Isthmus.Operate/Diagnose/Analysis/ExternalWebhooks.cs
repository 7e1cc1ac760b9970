using System.Net;
using System.Text.Json.Nodes;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Webhooks of a control plane whose address is missing, or is bound to one machine. Pure.</summary>
public static class ExternalWebhooks
{
    private static readonly (string Kind, string[] Prefixes)[] Configurations =
        [("MutatingWebhookConfiguration", ["istio-sidecar-injector"]), ("ValidatingWebhookConfiguration", ["istio-validator", "istiod-default-validator"])];

    public static Analyzer Analyzer
    {
        get;
    } = new("externalcontrolplane.ExternalControlPlaneAnalyzer", "Checks the addresses by which webhooks call a control plane outside of the cluster",
        [IstioCodes.NoControlPlaneAddress, IstioCodes.NumericControlPlaneAddress], [], mesh =>
        from cluster in mesh.Readable
        from known in Configurations
        from configuration in cluster.Objects(known.Kind)
        let name = configuration["metadata"]?["name"]?.ToString() ?? ""
        where known.Prefixes.Any(prefix => name.StartsWith(prefix, StringComparison.Ordinal))
        from webhook in (configuration["webhooks"] as JsonArray ?? []).Index()
        let client = webhook.Item?["clientConfig"]
        where client?["service"] is null
        let url = client?["url"]?.ToString() ?? ""
        let path = $"webhooks[{webhook.Index}].clientConfig.url"
        let finding = !Uri.TryCreate(url, UriKind.Absolute, out var address) || address.Host.Length == 0
            ? IstioCodes.NoControlPlaneAddress.At(cluster, $"{known.Kind} {name}", path,
                url.Length == 0 ? "is empty, and so is service: the API server cannot call the webhook" : $"\"{url}\" is not a URL")
            : IPAddress.TryParse(address.Host.Trim('[', ']'), out _)
            ? IstioCodes.NumericControlPlaneAddress.At(cluster, $"{known.Kind} {name}", path,
                $"{address.Host} is an address, not a host name: it must be changed when the control plane moves")
            : null
        where finding is not null
        select finding);
}
