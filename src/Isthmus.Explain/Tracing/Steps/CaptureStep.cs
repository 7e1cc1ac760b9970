using Isthmus.Capture;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Explain.Tracing.Steps;

/// <summary>Checks what the kernel of the caller's Pod does with the connection.</summary>
internal sealed class CaptureStep(TraceFacts facts, TraceRecord record, TracedCall call)
{
    /// <summary>Whether the kernel hands the connection to the proxy.</summary>
    public bool Walk()
    {
        if (Uncaptured() is { } none)
        {
            record.Warn("capture", $"{call.Destination} is not captured", none, ("why", "nothing of the Pod is"));
            return false;
        }
        if (facts.ClientPod.Spec.InitContainers.FirstOrDefault(container => container.Name is "istio-init" or "istio-validation") is not { } init)
        {
            record.Add("capture", HopStatus.Unknown, $"{call.Destination} → 127.0.0.1:{Ports.Outbound}", null,
                ("by", "no init container, so its exceptions are unknown"));
            return true;
        }
        CaptureSettings settings;
        try
        {
            settings = CaptureFlags.Read([.. init.Command.Concat(init.Args).SkipWhile(word => !word.StartsWith('-'))],
                init.Env.Where(env => env.Value is not null).DistinctBy(env => env.Name)
                    .ToDictionary(env => env.Name, env => env.Value!, StringComparer.Ordinal));
        }
        catch (ProblemException e)
        {
            record.Add("capture", HopStatus.Unknown, $"{call.Destination} → 127.0.0.1:{Ports.Outbound}", null, ("by", e.Message));
            return true;
        }
        if (ByUser(settings) is { } bypassing)
        {
            record.Warn("capture", $"{call.Destination} is not captured", bypassing, ("why", "the application runs as the user of the proxy"));
            return false;
        }
        if (settings.ExceptionFor(call.Destination) is not { } exception)
            return record.Ok("capture", $"{call.Destination} → 127.0.0.1:{Ports.Outbound}", ("by", $"nftables rules of container {init.Name}"));
        var problem = Faults.Of("ISM2020", facts.Client.ToString(), $"metadata.annotations[{exception.Annotation}]",
            $"{exception.What}, so calls to {call.Destination} bypass the proxy in plain text",
            exception.Annotation.Contains("/include", StringComparison.Ordinal)
                ? $"add {call.Destination.Address} or its range to the annotation {exception.Annotation} of {ServicePods.TemplateOf(facts.ClientPod)}, or "
                    + "remove the annotation"
                : $"remove it from the annotation {exception.Annotation} of {ServicePods.TemplateOf(facts.ClientPod)}");
        record.Warn("capture", $"{call.Destination} is not captured", problem, ("why", exception.What));
        return false;
    }

    /// <summary>The Pod asks that nothing of it is captured; null when it does not.</summary>
    private Problem? Uncaptured() =>
        ClusterObjects.Sidecar(facts.ClientPod)?.Env.FirstOrDefault(env => env.Name == "ISTIO_META_INTERCEPTION_MODE")?.Value != "NONE" ? null
        : Faults.Of("ISM2020", facts.Client.ToString(), $"metadata.annotations[{Annotations.InterceptionMode}]",
            "is NONE, so the kernel hands no connection of the Pod to its proxy, and calls leave in plain text",
            "remove the annotation from the Pod's template (or interceptionMode from meshConfig.defaultConfig), and restart the Pod");

    /// <summary>What the proxy's user sends is the proxy's own, which the kernel hands to nobody; null when some container runs as another user, since
    /// nobody knows which of them makes the call.</summary>
    private Problem? ByUser(CaptureSettings settings)
    {
        var pod = facts.ClientPod.Spec;
        var own = pod.Containers.Where(container => container.Name != "istio-proxy").ToList();
        if (own.Count == 0 || !own.TrueForAll(container => (container.SecurityContext?.RunAsUser ?? pod.SecurityContext?.RunAsUser) is { } id
            && settings.Users.Any(one => one == id))) return null;
        var at = own.Find(container => container.SecurityContext?.RunAsUser is not null);
        var field = at is null ? "spec.securityContext.runAsUser" : $"spec.containers[{pod.Containers.IndexOf(at)}].securityContext.runAsUser";
        var user = at?.SecurityContext?.RunAsUser ?? pod.SecurityContext?.RunAsUser;
        return Faults.Of("ISM2020", facts.Client.ToString(), field,
            $"is {user}, the user of the proxy, so the calls of its application bypass the proxy in plain text",
            "let the application run as another user");
    }
}
