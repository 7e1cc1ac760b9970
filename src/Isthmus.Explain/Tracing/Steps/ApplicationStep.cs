using System.Net;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Causes;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Explain.Tracing.Steps;

/// <summary>Checks whether the application listens in its Pod.</summary>
internal sealed class ApplicationStep(TraceRecord record, TraceCauses causes, TracedCall call)
{
    public void Walk(Callee callee, ProxyView view, IPEndPoint target)
    {
        if (view.Listening is not { } listening)
        {
            record.Add("application", HopStatus.Unknown, $"{target}: the proxy cannot report whether it listens", null);
            return;
        }
        if (listening.Any(at => at.Port == target.Port && Accepts(at.Address, target.Address)))
        {
            record.Ok("application", $"listens on {target.Port}",
                ("container", callee.Pod.Spec.Containers.FirstOrDefault(container => container.Name != "istio-proxy")?.Name ?? ""));
            return;
        }
        record.Fail("application", $"nothing listens on {target}",
            causes.Endpoints.NobodyListens(callee, call.Host, call.Port, target, listening));
    }

    private static bool Accepts(IPAddress bound, IPAddress asked) =>
        bound.Equals(IPAddress.Any) || bound.Equals(IPAddress.IPv6Any) || bound.Equals(asked) || (bound.IsIPv4MappedToIPv6 && bound.MapToIPv4().Equals(asked));
}
