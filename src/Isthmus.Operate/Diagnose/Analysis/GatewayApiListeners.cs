using Isthmus.Core.Problems;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Model.GatewayApi;
using Isthmus.Mesh.Resolve.GatewayApi;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Listeners of Gateways and ListenerSets that are not served as written, or that no route attaches to. Pure.</summary>
public static class GatewayApiListeners
{
    public static Analyzer Analyzer { get; } = new("gatewayapi.ListenerAnalyzer",
        "Checks that the listeners of Gateways and ListenerSets are served, and that routes attach to them",
        [OwnCodes.ListenersConflict, OwnCodes.ListenerUnused, IstioCodes.NegativeCondition], [],
        mesh => mesh.GatewayApis.SelectMany(api => api.Verdicts.Listeners.OrderBy(judged => judged.Owner).SelectMany(judged => Check(api, judged))));

    private static IEnumerable<Finding> Check(JudgedGatewayApi api, JudgedListeners judged)
    {
        var name = JudgedGatewayApi.Name(judged.Owner);
        if (!judged.IsAllowed && api.Verdicts.OfListenerSet(judged.Owner)?.Conditions.FirstOrDefault(condition => condition.Type == "Accepted") is { } refused)
            yield return IstioCodes.NegativeCondition.At(api.Cluster, name, "spec.parentRef", $"Accepted is False ({refused.Reason}): {refused.Message}",
                $"allow the namespace in spec.allowedListeners of Gateway {judged.Gateway.Namespace}/{judged.Gateway.Name}");
        foreach (var (i, listener) in judged.Listeners.Index())
        {
            var path = $"spec.listeners[{i}]";
            if (listener.IsConflicted)
            {
                yield return Conflict(api, judged, listener, path);
                continue;
            }
            foreach (var wrong in listener.Conditions.Where(condition => condition is { Type: "Accepted" or "ResolvedRefs", Status: false }))
            {
                // Faulty references are findings of their own.
                if (wrong.Reason != "InvalidRouteKinds" && GatewayApiTargets.HasFaults(api, judged.Owner, judged.Gateway, listener.Listener)) continue;
                yield return IstioCodes.NegativeCondition.At(api.Cluster, name, wrong.Reason == "InvalidRouteKinds" ? $"{path}.allowedRoutes.kinds" : path,
                    $"{wrong.Type} of listener {listener.Listener.Name} is False ({wrong.Reason}): {wrong.Message}",
                    ConditionRemedies.OfListener(listener.Listener, wrong.Reason));
            }
            if (IsUnused(api, judged, listener))
                yield return OwnCodes.ListenerUnused.At(api.Cluster, name, path,
                    $"no route attaches to listener {listener.Listener.Name} (port {listener.Listener.Port}"
                    + $"{(listener.Listener.Hostname.Length > 0 ? $", hostname {listener.Listener.Hostname}" : "")}): "
                    + (listener.Listener.Protocol is "HTTP" or "HTTPS" ? "requests get 404" : "it leads nowhere"));
        }
    }

    private static Finding Conflict(JudgedGatewayApi api, JudgedListeners judged, JudgedListener listener, string path)
    {
        var condition = listener.Conditions.First(condition => condition.Type == "Conflicted");
        var others = from other in api.Verdicts.Listeners.Where(other => other.Gateway.Source == judged.Gateway.Source && other.IsAllowed)
                     from one in other.Listeners
                     where one.Server != listener.Server && one.Listener.Port == listener.Listener.Port
                         && (one.Listener.Protocol == "UDP") == (listener.Listener.Protocol == "UDP")
                         && (condition.Reason != ListenerPlan.HostnameConflict || one.Listener.Hostname == listener.Listener.Hostname)
                     select other.Owner == judged.Owner ? one.Listener.Name : $"{one.Listener.Name} of {JudgedGatewayApi.Name(other.Owner)}";
        return OwnCodes.ListenersConflict.At(api.Cluster, JudgedGatewayApi.Name(judged.Owner),
            $"{path}.{(condition.Reason == ListenerPlan.HostnameConflict ? "hostname" : "protocol")}",
            $"listener {listener.Listener.Name} is not served ({condition.Reason}): {condition.Message}: {string.Join(", ", others.Distinct())}");
    }

    private static bool IsUnused(JudgedGatewayApi api, JudgedListeners judged, JudgedListener listener) =>
        listener.Served is { Tls: not { Mode: ServerTlsMode.AutoPassthrough } } && !listener.Kinds.IsEmpty
        && api.Verdicts.ControllerOf(judged.Gateway) != GatewayClasses.EastWest
        // A route of a kind that was not read may be there.
        && listener.Kinds.All(kind => MeshApi.All.FirstOrDefault(known => known.Group == kind.Group && known.Kind == kind.Kind) is not { } known
            || api.Cluster.Knows(known.Name))
        && !api.Verdicts.Routes.Any(route => route.Parents.Any(parent => parent.Listeners.Any(taken => taken.Owner == judged.Owner
            && taken.Name == listener.Listener.Name)));
}
