using Isthmus.Core.Names;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model.GatewayApi;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>What helps where a condition says that an object does not apply: its message says what is wrong.</summary>
internal static class ConditionRemedies
{
    private const string UseWaypoint = "istio.io/use-waypoint";

    /// <summary>Of a condition in the status of a Gateway, of which its listeners and references are not the cause.</summary>
    public static string OfGateway(string context, string ns, string name, string reason)
    {
        var kubectl = $"kubectl --context={context} -n {ns}";
        var made = $"-l {GatewayNaming.GatewayLabel}={name}";
        return reason switch
        {
            GatewayTrouble.NoAddress => $"see why the Service of the Gateway has no address ({kubectl} describe service {made}): the cluster needs a load "
                + "balancer, or the Gateway the annotation networking.istio.io/service-type: ClusterIP or NodePort",
            "AddressNotUsable" => "name in spec.addresses an address that the load balancer gives, or a Service of the Gateway's namespace that has the "
                + "ports of its listeners; or leave spec.addresses out",
            "UnsupportedAddress" => "write addresses of type IPAddress, or one of type Hostname, in spec.addresses",
            "Pending" => $"see what its Pods wait for: {kubectl} get deployments,pods,services {made}; {kubectl} describe pods {made}",
            _ => $"correct the field that the condition names, of the Gateway or of what its spec.infrastructure.parametersRef refers to: isthmus describe "
                + $"gateway {name} --context={context} -n {ns}",
        };
    }

    /// <summary>Of a listener.</summary>
    public static string OfListener(ApiListener listener, string reason) => reason switch
    {
        "InvalidRouteKinds" => $"leave {Kinds(listener.Protocol)} in allowedRoutes.kinds, or nothing: protocol {listener.Protocol} takes no others",
        "PortUnavailable" => "use another port",
        "UnsupportedValue" => "correct the hostname of the listener",
        "UnsupportedProtocol" => "write protocol HTTP, HTTPS, TLS, TCP or UDP; HTTPS and TLS have tls, and only TLS may have mode Passthrough",
        _ => "correct the field of the listener that the message names",
    };

    private static string Kinds(string protocol) => protocol switch
    {
        "HTTP" or "HTTPS" => "HTTPRoute and GRPCRoute", "TLS" => "TLSRoute and TCPRoute", "UDP" => "UDPRoute", _ => "TCPRoute",
    };

    /// <summary>Of a policy that does not apply.</summary>
    /// <param name="others">The policies of its kind.</param>
    /// <param name="fields">Those that may be wrong.</param>
    public static string OfPolicy(IBackendPolicy policy, IEnumerable<IBackendPolicy> others, string reason, string fields)
    {
        if (reason != "Conflicted") return $"correct {fields}, as the message says";
        var targets = policy.Targets.Select(Place).ToHashSet();
        var older = others.Where(other => other.Source != policy.Source && other.Targets.Any(target => targets.Contains(Place(target))))
            .OrderBy(other => other.CreatedAt).ThenBy(other => other.Source).Select(other => JudgedGatewayApi.Name(other.Source)).FirstOrDefault();
        return $"name another target in spec.targetRefs, or delete {older ?? "the older policy of the target"}";

        static (string, string, string, string) Place(ApiReference target) => (target.Group, target.Kind, target.Namespace + "/" + target.Name, target.Section);
    }

    /// <summary>Of what control planes of ambient mode write.</summary>
    public static string OfAmbient(ClusterInventory cluster, KindDescriptor kind, string ns) => kind == MeshApi.AuthorizationPolicy
        ? $"let sidecars apply the policy: kubectl --context={cluster.Context} label namespace {ns} {Labels.Injection}=enabled "
            + "istio.io/dataplane-mode-, and restart its workloads. Isthmus has no ambient mode"
        : $"remove the label {UseWaypoint} from the object or its namespace, and let sidecars serve it: Isthmus has no waypoints";

    /// <summary>Of a route whose parents the mesh does not know.</summary>
    public static string OfStrayRoute(string name) =>
        $"name a Gateway or ListenerSet of the mesh, or a Service, in spec.parentRefs of {name}; or delete it if its parent is gone";
}
