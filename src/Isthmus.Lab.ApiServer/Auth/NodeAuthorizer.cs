using Isthmus.Core.Collections;
using Isthmus.Lab.ApiServer.Identity;
using Isthmus.Lab.ApiServer.Pki;

namespace Isthmus.Lab.ApiServer.Auth;

/// <summary>
/// Lets nodes (members of system:nodes named system:node:NAME) do what a kubelet and a service proxy need, then asks RBAC.
/// Simpler than Kubernetes' graph: Secrets and ConfigMaps are not limited to those that the node's own Pods name.
/// </summary>
internal sealed class NodeAuthorizer(IAuthorizer next) : IAuthorizer
{
    private static readonly ValueList<PolicyRule> Rules = BootstrapRules.Parse(
        "get,list,watch,create,update,patch,delete | | nodes",
        "get,update,patch | | nodes/status",
        "get,list,watch,create,delete | | pods",
        "get,update,patch | | pods/status",
        "create | | pods/eviction",
        "get,list,watch | | secrets,configmaps,services,endpoints,namespaces,serviceaccounts,persistentvolumeclaims,persistentvolumes",
        "get,list,watch | discovery.k8s.io | endpointslices",
        "create | | serviceaccounts/token",
        "create,patch,update | ,events.k8s.io | events",
        "get,create,update,patch,delete | coordination.k8s.io | leases",
        "get,list,watch | node.k8s.io | runtimeclasses",
        "get,list,watch | storage.k8s.io | csidrivers,storageclasses,volumeattachments",
        "get,create,update,patch,delete | storage.k8s.io | csinodes",
        "get,list,watch | networking.k8s.io | servicecidrs,ipaddresses",
        "create | authentication.k8s.io | tokenreviews",
        "create | authorization.k8s.io | localsubjectaccessreviews,subjectaccessreviews");

    public AuthorizationDecision Authorize(RequestAttributes attributes)
    {
        var user = attributes.User;
        if (user.Name.StartsWith(PkiNames.NodeUserPrefix, StringComparison.Ordinal) && user.Groups.Contains(PkiNames.Nodes)
            && (attributes.Resource != "leases" || attributes.Namespace == "kube-node-lease"))
        {
            foreach (var rule in Rules)
                if (rule.Allows(attributes)) return AuthorizationDecision.Allow();
        }
        return next.Authorize(attributes);
    }
}
