using Isthmus.Capture;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Explain.Tracing;

/// <summary>Checks what the kernel of the caller's Pod does with the connection.</summary>
internal sealed class CaptureStep(TraceFacts facts, TraceRecord record, TracedCall call)
{
    /// <summary>Whether the kernel hands the connection to the proxy.</summary>
    public bool Walk()
    {
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
        if (settings.ExceptionFor(call.Destination) is not { } exception)
            return record.Ok("capture", $"{call.Destination} → 127.0.0.1:{Ports.Outbound}", ("by", $"nftables rules of container {init.Name}"));
        var problem = Faults.Of("ISM2020", facts.Client.ToString(), $"metadata.annotations[{exception.Annotation}]",
            $"{exception.What}, so calls to {call.Destination} bypass the proxy in plain text",
            $"remove it from the annotation {exception.Annotation} and restart the Pod");
        record.Warn("capture", $"{call.Destination} is not captured", problem, ("why", exception.What));
        return false;
    }
}
