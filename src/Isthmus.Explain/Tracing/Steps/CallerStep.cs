using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Causes;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Explain.Tracing.Steps;

/// <summary>Checks the caller's Pod and its proxy.</summary>
internal sealed class CallerStep(TraceFacts facts, TraceRecord record, TraceCauses causes)
{
    private const string Code = "ISM2001";

    /// <summary>False when the call ends here, or when the proxy must be fetched first.</summary>
    public bool Walk(out ProxyView? sidecar)
    {
        sidecar = null;
        var pod = facts.ClientPod;
        var network = facts.Home.NetworkOf(pod);
        var where = $"{facts.Client}{TraceRecord.NetworkText(network)}";
        if (pod.Status.Phase != "Running")
            return record.Fail("client", where, Idle(pod));
        if (ClusterObjects.Sidecar(pod) is null)
            return record.Ok("client", where, ("sidecar", "none: its calls leave in plain text"), ("account", pod.Spec.ServiceAccountName));
        if (!facts.Proxies.TryGetValue(facts.Client, out sidecar))
        {
            if (!facts.Silent.TryGetValue(facts.Client, out var why))
            {
                causes.Needs.Proxies.Add(facts.Client);
                return false;
            }
            if (!pod.Status.IsReady && UnreadyPods.Starved(facts.Home, pod, ", and its proxy does not respond") is { } starved)
                return record.Fail("client", where, starved with { Code = "ISM2002" });
            return record.Fail("client", where,
                Faults.Of("ISM2002", facts.Client.ToString(), "", $"its proxy does not respond: {why}",
                    $"kubectl --context={facts.Client.Context} -n {facts.Client.Namespace} logs {facts.Client.Name} -c istio-proxy"));
        }
        var certificate = sidecar.Certificate("default");
        if (!sidecar.Decisions.HasListeners)
            return record.Fail("client", where, causes.Availability.Unconfigured(facts.Client, "its proxy has no configuration"));
        return record.Ok("client", where, ("proxy", sidecar.Stranger), ("identity", certificate?.Identity ?? "no certificate yet"),
            ("certificate", certificate is null ? "" : certificate.Validity(facts.Now)),
            ("refused", string.Join("; ", sidecar.Decisions.Unread)));
    }
    /// <summary>Why a Pod that does not run makes no calls: of one that has not started, what keeps it, such as an init container.</summary>
    private Problem Idle(Pod pod)
    {
        if (pod.Status.Phase != "Pending")
            return Faults.Of(Code, facts.Client.ToString(), "status.phase", $"is {pod.Status.Phase}, so it makes no calls",
                $"kubectl --context={facts.Client.Context} -n {facts.Client.Namespace} describe pod {facts.Client.Name}");
        if (facts.Home.FailedCheck(pod) is null) causes.Needs.Checks.Add(facts.Client);
        return UnreadyPods.Of(facts.Home, pod, ", so that it makes no calls", now: facts.Now) with { Code = Code };
    }
}
