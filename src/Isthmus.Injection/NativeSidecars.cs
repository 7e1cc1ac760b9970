using System.Globalization;
using System.Text.Json.Nodes;
using Isthmus.Core.Collections;

namespace Isthmus.Injection;

/// <summary>Decides whether the proxy of a Pod is a native sidecar: an init container with <c>restartPolicy: Always</c>, which starts before
/// the application's containers, runs beside them, and ends after them.</summary>
/// <param name="Kubelets">The kubelet's version of each Node in the Pod's cluster, by name.</param>
public sealed record NativeSidecars(NativeSidecarMode Mode, ValueMap<string> Kubelets)
{
    public static readonly NativeSidecars Off = new(NativeSidecarMode.Disabled, []);

    private const string Annotation = "sidecar.istio.io/nativeSidecar";

    // The feature is on by default since 1.29. Only since 1.33 can nobody turn it off.
    private const int Possible = 29, Stable = 33;

    /// <summary>Why a Pod without the annotation does not get the native sidecar that the installation asks for; null if it does.</summary>
    public string? Notice(JsonObject pod) =>
        Mode == NativeSidecarMode.Enabled && pod["metadata"]?["annotations"]?[Annotation] is null && TooOld(pod) is { } old
            ? $"ENABLE_NATIVE_SIDECARS=true has no effect on this Pod: {old}" : null;

    internal bool IsFor(InjectionInputs inputs)
    {
        if (inputs.Annotation(Annotation) is { Length: > 0 } text)
        {
            if (!bool.TryParse(text, out var wanted)) throw InjectionInputs.Bad(Annotation, text, "it must be true or false");
            // An older API server drops the restart policy, and an init container that runs forever would block the Pod.
            return wanted && TooOld(inputs.Pod) is { } old ? throw InjectionInputs.Bad(Annotation, text, old) : wanted;
        }
        var nodes = Candidates(inputs.Pod);
        return Mode switch
        {
            NativeSidecarMode.Auto => nodes.Count > 0 && nodes.TrueForAll(node => Minor(node.Value) >= Stable),
            NativeSidecarMode.Enabled => TooOld(inputs.Pod) is null,
            _ => false,
        };
    }

    private string? TooOld(JsonObject pod) =>
        Candidates(pod).Find(node => Minor(node.Value) < Possible) is { Key: not null } node
            ? $"the kubelet of Node {node.Key} is {node.Value}, and native sidecars need v1.{Possible} or later" : null;

    /// <summary>The Nodes that the Pod may run on.</summary>
    private List<KeyValuePair<string, string>> Candidates(JsonObject pod) =>
        pod["spec"]?["nodeName"]?.ToString() is { Length: > 0 } own && Kubelets.TryGetValue(own, out var version) ? [new(own, version)] : [.. Kubelets];

    /// <summary>32 of <c>v1.32.0-eks-1</c>; null if the version is malformed.</summary>
    private static int? Minor(string version)
    {
        if (version.Split('.') is not ["v1" or "1", var text, ..]) return null;
        var end = text.AsSpan().IndexOfAnyExceptInRange('0', '9');
        return int.TryParse(end < 0 ? text : text.AsSpan(0, end), NumberStyles.None, CultureInfo.InvariantCulture, out var minor) ? minor : null;
    }
}
