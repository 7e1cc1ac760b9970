using Isthmus.Core.Collections;

namespace Isthmus.Lab.ApiServer.Auth;

/// <param name="AggregatesTo">Roles whose rules include this one's: the label <c>rbac.authorization.k8s.io/aggregate-to-X</c>.</param>
/// <param name="AggregatedFrom">Set for a role whose rules are the union of those that aggregate to this name.</param>
internal sealed record BootstrapRole(string Name, ValueList<PolicyRule> Rules, string AggregatesTo = "", string AggregatedFrom = "");

/// <summary>
/// The ClusterRoles that every cluster starts with. Names are all those of Kubernetes 1.32; the rules are Kubernetes' for the roles
/// that people bind (admin, edit, view, discovery …), and what the lab's own components need for those of controllers.
/// </summary>
internal static class BootstrapRoles
{
    private const string Read = "get,list,watch";
    private const string Write = "create,delete,deletecollection,patch,update";

    private static readonly BootstrapRole[] Users =
    [
        new("cluster-admin", BootstrapRules.Parse("* | * | *", "* @ *")),
        new("admin", [], AggregatedFrom: "admin"),
        new("edit", [], AggregatesTo: "admin", AggregatedFrom: "edit"),
        new("view", [], AggregatesTo: "edit", AggregatedFrom: "view"),
        Role("system:aggregate-to-admin", "admin",
            "create | authorization.k8s.io | localsubjectaccessreviews",
            $"{Write},{Read} | rbac.authorization.k8s.io | rolebindings,roles"),
        Role("system:aggregate-to-edit", "edit",
            $"{Read} | | pods/attach,pods/exec,pods/portforward,pods/proxy,secrets,services/proxy",
            "impersonate | | serviceaccounts",
            $"{Write} | | pods,pods/attach,pods/exec,pods/portforward,pods/proxy",
            "create | | pods/eviction",
            $"{Write} | | configmaps,events,persistentvolumeclaims,replicationcontrollers,replicationcontrollers/scale,"
                + "secrets,serviceaccounts,services,services/proxy",
            "create | | serviceaccounts/token",
            $"{Write} | apps | daemonsets,deployments,deployments/rollback,deployments/scale,replicasets,replicasets/scale,statefulsets,statefulsets/scale",
            $"{Write} | autoscaling | horizontalpodautoscalers",
            $"{Write} | batch | cronjobs,jobs",
            $"{Write} | policy | poddisruptionbudgets",
            $"{Write} | networking.k8s.io | ingresses,networkpolicies",
            $"{Write},{Read} | coordination.k8s.io | leases"),
        Role("system:aggregate-to-view", "view",
            $"{Read} | | configmaps,endpoints,persistentvolumeclaims,persistentvolumeclaims/status,pods,replicationcontrollers,"
                + "replicationcontrollers/scale,serviceaccounts,services,services/status",
            $"{Read} | | bindings,events,limitranges,namespaces/status,pods/log,pods/status,replicationcontrollers/status,resourcequotas,resourcequotas/status",
            $"{Read} | | namespaces",
            $"{Read} | discovery.k8s.io | endpointslices",
            $"{Read} | apps | controllerrevisions,daemonsets,daemonsets/status,deployments,deployments/scale,deployments/status,"
                + "replicasets,replicasets/scale,replicasets/status,statefulsets,statefulsets/scale,statefulsets/status",
            $"{Read} | autoscaling | horizontalpodautoscalers,horizontalpodautoscalers/status",
            $"{Read} | batch | cronjobs,cronjobs/status,jobs,jobs/status",
            $"{Read} | extensions | "
                + $"daemonsets,daemonsets/status,deployments,deployments/scale,deployments/status,ingresses,ingresses/status,"
                + "networkpolicies,replicasets,replicasets/scale,replicasets/status,replicationcontrollers/scale",
            $"{Read} | policy | poddisruptionbudgets,poddisruptionbudgets/status",
            $"{Read} | networking.k8s.io | ingresses,ingresses/status,networkpolicies"),
        Role("system:discovery", "get @ /api,/api/*,/apis,/apis/*,/healthz,/livez,/openapi,/openapi/*,/readyz,/version,/version/"),
        Role("system:basic-user",
            "create | authorization.k8s.io | selfsubjectaccessreviews,selfsubjectrulesreviews",
            "create | authentication.k8s.io | selfsubjectreviews"),
        Role("system:public-info-viewer", "get @ /healthz,/livez,/readyz,/version,/version/"),
        Role("system:monitoring", "get @ /healthz,/healthz/*,/livez,/livez/*,/metrics,/metrics/slis,/readyz,/readyz/*"),
        Role("system:service-account-issuer-discovery",
            "get @ /.well-known/openid-configuration,/.well-known/openid-configuration/,/openid/v1/jwks,/openid/v1/jwks/"),
        Role("system:auth-delegator", "create | authentication.k8s.io | tokenreviews", "create | authorization.k8s.io | subjectaccessreviews"),
    ];

    private static readonly BootstrapRole[] Components =
    [
        Role("system:heapster", $"{Read} | | events,namespaces,nodes,pods", $"{Read} | extensions | deployments"),
        Role("system:kube-aggregator", $"{Read} | | endpoints,services"),
        Role("system:kube-dns", "list,watch | | endpoints,services", "list,watch | discovery.k8s.io | endpointslices"),
        Role("system:kubelet-api-admin", $"{Read},proxy | | nodes", "* | | nodes/log,nodes/metrics,nodes/proxy,nodes/stats"),
        Role("system:kube-controller-manager",
            "create,patch,update | ,events.k8s.io | events",
            "create | coordination.k8s.io | leases",
            "get,update | coordination.k8s.io | leases | kube-controller-manager",
            "create | | secrets,serviceaccounts", "delete | | secrets", "get | | configmaps,namespaces,secrets,serviceaccounts",
            "update | | secrets,serviceaccounts", "create | authentication.k8s.io | tokenreviews",
            "create | authorization.k8s.io | subjectaccessreviews", "list,watch | * | *", "create | | serviceaccounts/token"),
        Role("system:kube-scheduler",
            "create,patch,update | ,events.k8s.io | events",
            "create,get,update,list,watch | coordination.k8s.io | leases",
            $"{Read} | | nodes,namespaces,replicationcontrollers,services,persistentvolumeclaims,persistentvolumes",
            $"delete,{Read} | | pods", "create | | bindings,pods/binding", "patch,update | | pods/status",
            $"{Read} | apps | replicasets,statefulsets", $"{Read} | policy | poddisruptionbudgets",
            "create | authentication.k8s.io | tokenreviews", "create | authorization.k8s.io | subjectaccessreviews"),
        Role("system:volume-scheduler", $"{Read},patch,update | | persistentvolumes,persistentvolumeclaims", $"{Read} | storage.k8s.io | storageclasses"),
        Role("system:node",
            "create,get,list,watch | | nodes", "patch,update | | nodes,nodes/status", "get,list,watch,create,delete | | pods",
            "patch,update | | pods/status", "create | | pods/eviction", "get,list,watch | | configmaps,secrets,services",
            "create | | serviceaccounts/token", "get | | persistentvolumeclaims,persistentvolumes,endpoints",
            "get,create,update,patch,delete | coordination.k8s.io | leases", "create,patch,update | | events",
            "create | authentication.k8s.io | tokenreviews", "create | authorization.k8s.io | localsubjectaccessreviews,subjectaccessreviews"),
        Role("system:node-bootstrapper", "create,get,list,watch | certificates.k8s.io | certificatesigningrequests"),
        Role("system:node-problem-detector", "get | | nodes", "patch | | nodes/status", "create,patch,update | ,events.k8s.io | events"),
        Role("system:node-proxier",
            "list,watch | | endpoints,services", $"{Read} | | nodes", "create,patch,update | ,events.k8s.io | events",
            "list,watch | discovery.k8s.io | endpointslices"),
        Role("system:persistent-volume-provisioner",
            $"{Read},create,delete | | persistentvolumes", $"{Read},update | | persistentvolumeclaims",
            $"{Read} | storage.k8s.io | storageclasses", "watch | | events", "create,patch,update | ,events.k8s.io | events"),
        Role("system:cluster-trust-bundle-discovery", $"{Read} | certificates.k8s.io | clustertrustbundles"),
        Role("system:certificates.k8s.io:certificatesigningrequests:nodeclient", "create | certificates.k8s.io | certificatesigningrequests/nodeclient"),
        Role("system:certificates.k8s.io:certificatesigningrequests:selfnodeclient",
            "create | certificates.k8s.io | certificatesigningrequests/selfnodeclient"),
        Role("system:certificates.k8s.io:kube-apiserver-client-approver", "approve | certificates.k8s.io | signers | kubernetes.io/kube-apiserver-client"),
        Role("system:certificates.k8s.io:kube-apiserver-client-kubelet-approver",
            "approve | certificates.k8s.io | signers | kubernetes.io/kube-apiserver-client-kubelet"),
        Role("system:certificates.k8s.io:kubelet-serving-approver", "approve | certificates.k8s.io | signers | kubernetes.io/kubelet-serving"),
        Role("system:certificates.k8s.io:legacy-unknown-approver", "approve | certificates.k8s.io | signers | kubernetes.io/legacy-unknown"),
    ];

    /// <summary>In the order in which a server makes them.</summary>
    public static IEnumerable<BootstrapRole> All => Users.Concat(Components).Concat(BootstrapControllers.Roles);

    private static BootstrapRole Role(string name, params ReadOnlySpan<string> rules)
    {
        // The second argument of an aggregated part is the role that it becomes part of.
        return !rules.IsEmpty && rules[0] is "admin" or "edit" or "view"
            ? new(name, BootstrapRules.Parse(rules[1..]), rules[0])
            : new(name, BootstrapRules.Parse(rules));
    }
}
