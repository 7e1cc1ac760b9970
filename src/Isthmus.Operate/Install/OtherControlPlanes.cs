using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Operate.Install.Operator;
using Isthmus.Operate.Install.Render;
using Isthmus.Wire.Tls;

namespace Isthmus.Operate.Install;

/// <summary>A control plane that Isthmus did not install.</summary>
public sealed record OtherControlPlane(string Namespace, string Name, string Revision);

/// <summary>
/// Control planes of a cluster that are not Isthmus's, such as Istio's. Objects of both have the same names and labels, so only the revision
/// keeps them apart.
/// </summary>
public sealed class OtherControlPlanes(KubeClient client)
{
    private const string Guide = "docs/install/upgrade.md";

    /// <summary>Their Deployments, in all namespaces; empty if the user may not list them.</summary>
    public async Task<IReadOnlyList<OtherControlPlane>> ListAsync(CancellationToken stop)
    {
        try
        {
            var planes = await client.ListAllAsync<JsonObject>(Kinds.Deployment, null, new ListOptions { LabelSelector = $"app={WellKnown.Istiod}" }, stop);
            return [.. planes.Where(plane => !IsOurs(plane)).Select(plane => plane["metadata"]!)
                .Select(about => new OtherControlPlane(about["namespace"]!.ToString(), about["name"]!.ToString(),
                    about["labels"]![Labels.Revision]?.ToString() ?? ""))];
        }
        catch (KubeException e) when (e.Code is 403 or 404)
        {
            return [];
        }
    }

    /// <exception cref="ProblemException">Objects of another control plane would be overwritten, or its workloads would not trust the new one's.</exception>
    public async Task CheckAsync(OperatorSpec spec, IReadOnlyList<JsonObject> objects, CancellationToken stop)
    {
        foreach (var wanted in objects.Where(value => value["kind"]?.ToString() is "Deployment" or "DaemonSet"))
        {
            var (ns, name, kind) = (wanted["metadata"]!["namespace"]!.ToString(), wanted["metadata"]!["name"]!.ToString(), Applier.KindOf(wanted));
            if (await FindAsync(kind, ns, name, stop) is not { } live) continue;
            var at = $"{kind.Kind} {ns}/{name} in {client.Access.Name}";
            // The node agents of both chain a plug-in into the same file.
            if (kind == Kinds.DaemonSet && IsIstios(live))
                throw new ProblemException(at, $"is a CNI agent of Istio (image {Image(live)})",
                    "remove it first, or install without components.cni: a node can have one of the two");
            if (IsControlPlane(live) && !IsOurs(live))
                throw new ProblemException(at, $"is a control plane that Isthmus did not install (image {Image(live)})",
                    $"install beside it with --revision NAME, and move namespaces one by one: {Guide}");
            if (IsFinishedGateway(live) && !IsFinishedGateway(wanted))
                throw new ProblemException(at, $"is a gateway that Isthmus did not install (image {Image(live)})",
                    $"choose another name for the gateway, or none: --set profile=minimal ({Guide})");
        }
        if (spec.Enabled("pilot")) await TrustAsync(spec, stop);
    }

    /// <exception cref="ProblemException">A removal would remove them, too.</exception>
    public async Task CheckRemovalAsync(string what, Func<OtherControlPlane, bool> affects, string remedy, CancellationToken stop)
    {
        if ((await ListAsync(stop)).FirstOrDefault(affects) is not { } other) return;
        throw new ProblemException(what,
            $"would remove the control plane {other.Namespace}/{other.Name} in {client.Access.Name} and what belongs to it, which Isthmus did not install",
            remedy);
    }

    /// <summary>Both write the roots into every namespace, and both are trusted by them.</summary>
    private async Task TrustAsync(OperatorSpec spec, CancellationToken stop)
    {
        foreach (var (ns, name, _) in await ListAsync(stop))
        {
            if (await client.FindAsync<ConfigMap>(Kinds.ConfigMap, ns, WellKnown.RootCertConfigMap, stop) is not { } map) continue;
            var theirs = Roots(map.Data.GetValueOrDefault(WellKnown.RootCertKey) ?? "");
            if (theirs.Count == 0 || (await OwnRootsAsync(spec.Namespace, stop)).Overlaps(theirs)) continue;
            throw new ProblemException($"ConfigMap {ns}/{WellKnown.RootCertConfigMap} in {client.Access.Name}",
                $"has the root of the control plane {ns}/{name}, and namespace {spec.Namespace} has no CA of that root: workloads of the two would not trust "
                    + $"each other, and both would write this ConfigMap in turns",
                $"create the Secret {WellKnown.CaCerts} in namespace {spec.Namespace} with an intermediate CA of the same root (docs/guides/certificates.md)");
        }
    }

    private async Task<HashSet<string>> OwnRootsAsync(string ns, CancellationToken stop)
    {
        if (await client.FindAsync<Secret>(Kinds.Secret, ns, WellKnown.CaCerts, stop) is { } given)
            return Roots(Text(given, given.Data.ContainsKey("tls.crt") ? "ca.crt" : "root-cert.pem"));
        // Istio's control plane and ours share this one in one namespace.
        return await client.FindAsync<Secret>(Kinds.Secret, ns, WellKnown.SelfSignedCa, stop) is { } own ? Roots(Text(own, "ca-cert.pem")) : [];
    }

    private static string Text(Secret secret, string key) => secret.Bytes(key) is { } bytes ? System.Text.Encoding.UTF8.GetString(bytes) : "";

    private static HashSet<string> Roots(string pem)
    {
        try { return [.. CertificateText.ReadAny(pem, WellKnown.RootCertConfigMap).Select(root => Convert.ToBase64String(root.RawDataMemory.Span))]; }
        catch (ProblemException) { return []; }
    }

    private async Task<JsonObject?> FindAsync(ResourceKind kind, string ns, string name, CancellationToken stop)
    {
        try { return await client.FindAsync(kind, ns, name, stop); }
        catch (KubeException e) when (e.Code is 403 or 404) { return null; }
    }

    private static bool IsControlPlane(JsonObject deployment) => deployment["metadata"]?["labels"]?["app"]?.ToString() == WellKnown.Istiod;

    /// <summary>Istio has no such setting.</summary>
    internal static bool IsOurs(JsonObject deployment) =>
        Containers(deployment)
            .Any(container => (container["env"] as JsonArray ?? []).Any(entry => entry?["name"]?.ToString() == IstiodObjects.InjectorMapVariable));

    /// <summary>Ours get their image by injection.</summary>
    private static bool IsFinishedGateway(JsonObject deployment) =>
        Containers(deployment).Any(container => container["name"]?.ToString() == "istio-proxy" && container["image"]?.ToString() is not (null or "auto"));

    /// <summary>The image of Istio's agent has this name in every registry.</summary>
    private static bool IsIstios(JsonObject agent) =>
        Containers(agent).Any(container => container["image"]?.ToString().Split('/')[^1].Split(':', '@')[0] == "install-cni");

    private static string Image(JsonObject deployment) => Containers(deployment).FirstOrDefault()?["image"]?.ToString() ?? "";

    private static IEnumerable<JsonObject> Containers(JsonObject deployment) =>
        (deployment["spec"]?["template"]?["spec"]?["containers"] as JsonArray ?? []).OfType<JsonObject>();
}
