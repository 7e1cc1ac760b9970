using System.Text.Json.Nodes;

namespace Isthmus.Tests.IstioMesh;

/// <summary>A release of Istio: what its charts, its injector and its control plane write otherwise than those of other releases.</summary>
/// <param name="HasNativeSidecars">Proxies are init containers that go on running, as since 1.27 where Kubernetes has them.</param>
/// <param name="HasTypedNames">Envoys get the names of peers as <c>match_typed_subject_alt_names</c>, and not as the field that Envoy deprecates.</param>
internal sealed record IstioRelease(string Version, bool HasNativeSidecars, bool HasTypedNames)
{
    /// <summary>The oldest and the newest whose meshes the commands read.</summary>
    internal static readonly IstioRelease Oldest = new("1.24.6", false, false), Newest = new("1.31.0", false, true),
        Native = Newest with { HasNativeSidecars = true };

    private bool IsOld => Version.StartsWith("1.24", StringComparison.Ordinal);

    /// <summary>The pages that <c>/debug/list</c> names.</summary>
    internal IEnumerable<string> Pages => "adsz adsz?push=true ambientz authorizationz cachez cachez?clear=true cachez?sizes=true clusterz config_dump configz "
        .Split(' ', StringSplitOptions.RemoveEmptyEntries)
        .Concat("connections ecdsz edsz endpointShardz endpointz force_disconnect inject instancesz".Split(' '))
        .Concat(IsOld ? [] : ["krtz"])
        .Concat("mcsz mesh ndsz networkz push_status pushcontext registryz resourcesz sidecarz syncz telemetryz".Split(' '));

    /// <summary>The text of a file of this folder, for this release.</summary>
    internal string Adapt(string text)
    {
        text = text.Replace("1.31.0", Version, StringComparison.Ordinal);
        if (IsOld) text = text.Replace(""","istio-ca-crl"]""", "]", StringComparison.Ordinal);
        return HasTypedNames ? text
            : text.Replace("match_typed_subject_alt_names: [{san_type: URI, matcher: {", "match_subject_alt_names: [{", StringComparison.Ordinal)
                .Replace("}}]}}\n            validation_context_sds", "}]}}\n            validation_context_sds", StringComparison.Ordinal)
                .Replace("}}]}\n            validation_context_sds", "}]}\n            validation_context_sds", StringComparison.Ordinal);
    }

    /// <summary>Moves the proxy of a Pod to where this release puts it.</summary>
    internal void Place(JsonObject pod)
    {
        if (!HasNativeSidecars || pod["spec"]!["initContainers"] is not JsonArray initial) return;
        var containers = pod["spec"]!["containers"]!.AsArray();
        var proxy = containers.First(container => container!["name"]!.ToString() == "istio-proxy")!;
        containers.Remove(proxy);
        proxy["restartPolicy"] = "Always";
        proxy["startupProbe"] = proxy["readinessProbe"]!.DeepClone();
        initial.Add(proxy);
        var annotations = pod["metadata"]!["annotations"]!;
        annotations["sidecar.istio.io/status"] = annotations["sidecar.istio.io/status"]!.ToString()
            .Replace("""["istio-init"],"containers":["istio-proxy"]""", """["istio-init","istio-proxy"],"containers":null""", StringComparison.Ordinal);
    }
}
