namespace Isthmus.Lab.ApiServer.Auth;

/// <summary>The ClusterRoles <c>system:controller:*</c>, each bound to the service account of that name in kube-system.</summary>
internal static class BootstrapControllers
{
    private const string Events = "create,patch,update | ,events.k8s.io | events";

    private static readonly (string Name, string[] Rules)[] Table =
    [
        ("attachdetach-controller", ["list,watch | | persistentvolumeclaims,persistentvolumes,pods,nodes", "patch,update | | nodes/status"]),
        ("certificate-controller",
            ["delete,get,list,watch | certificates.k8s.io | certificatesigningrequests",
                "update | certificates.k8s.io | certificatesigningrequests/approval,certificatesigningrequests/status",
                "create | authorization.k8s.io | subjectaccessreviews"]),
        ("clusterrole-aggregation-controller", ["escalate,get,list,patch,update,watch | rbac.authorization.k8s.io | clusterroles"]),
        ("cronjob-controller",
            ["get,list,update,watch | batch | cronjobs", "create,delete,get,list,patch,update,watch | batch | jobs",
                "update | batch | cronjobs/status,cronjobs/finalizers", "delete,list | | pods"]),
        ("daemon-set-controller",
            ["get,list,watch | apps | daemonsets", "update | apps | daemonsets/status,daemonsets/finalizers", "list,watch | | nodes",
                "create,delete,list,patch,watch | | pods", "create | | pods/binding",
                "create,delete,get,list,patch,update,watch | apps | controllerrevisions"]),
        ("deployment-controller",
            ["get,list,update,watch | apps | deployments", "update | apps | deployments/status,deployments/finalizers",
                "create,delete,get,list,patch,update,watch | apps | replicasets", "get,list,update,watch | | pods"]),
        ("disruption-controller",
            ["get,list,watch | apps | deployments,replicasets,statefulsets", "get,list,watch | policy | poddisruptionbudgets",
                "update | policy | poddisruptionbudgets/status", "get,list,watch | | pods", "get | * | */scale"]),
        ("endpoint-controller", ["get,list,watch | | pods,services", "create,delete,get,list,update | | endpoints", "create | | endpoints/restricted"]),
        ("endpointslice-controller",
            ["get,list,watch | | nodes,pods,services", "update | | services/finalizers", "create,delete,get,list,update | discovery.k8s.io | endpointslices",
                "create | discovery.k8s.io | endpointslices/restricted"]),
        ("endpointslicemirroring-controller",
            ["get,list,watch | | endpoints,services", "update | | services/finalizers,endpoints/finalizers",
                "create,delete,get,list,update | discovery.k8s.io | endpointslices"]),
        ("ephemeral-volume-controller", ["get,list,watch | | pods", "update | | pods/finalizers", "create,get,list,watch | | persistentvolumeclaims"]),
        ("expand-controller",
            ["get,list,patch,update,watch | | persistentvolumes", "patch,update | | persistentvolumeclaims/status",
                "get,list,watch | | persistentvolumeclaims"]),
        ("generic-garbage-collector", ["delete,get,list,patch,update,watch | * | *"]),
        ("horizontal-pod-autoscaler",
            ["get,list,watch | autoscaling | horizontalpodautoscalers", "update | autoscaling | horizontalpodautoscalers/status", "get,update | * | */scale",
                "list | | pods"]),
        ("job-controller",
            ["get,list,patch,update,watch | batch | jobs", "update | batch | jobs/status,jobs/finalizers", "create,delete,list,patch,watch | | pods"]),
        ("legacy-service-account-token-cleaner", ["get | | configmaps", "delete,patch | | secrets"]),
        ("namespace-controller",
            ["delete,get,list,watch | | namespaces", "update | | namespaces/finalize,namespaces/status", "delete,deletecollection,get,list | * | *"]),
        ("node-controller", ["delete,get,list,patch,update | | nodes", "patch,update | | nodes/status", "update | | pods/status", "delete,list | | pods"]),
        ("persistent-volume-binder",
            ["create,delete,get,list,update,watch | | persistentvolumes", "update | | persistentvolumes/status,persistentvolumeclaims/status",
                "get,list,update,watch | | persistentvolumeclaims", "get,list,watch | storage.k8s.io | storageclasses"]),
        ("pod-garbage-collector", ["delete,list,watch | | pods", "get,list | | nodes", "patch | | pods/status"]),
        ("pv-protection-controller", ["get,list,update,watch | | persistentvolumes"]),
        ("pvc-protection-controller", ["get,list,update,watch | | persistentvolumeclaims", "get,list,watch | | pods"]),
        ("replicaset-controller",
            ["get,list,update,watch | apps | replicasets", "update | apps | replicasets/status,replicasets/finalizers",
                "create,delete,list,patch,watch | | pods"]),
        ("replication-controller",
            ["get,list,update,watch | | replicationcontrollers", "update | | replicationcontrollers/status,replicationcontrollers/finalizers",
                "create,delete,list,patch,watch | | pods"]),
        ("resourcequota-controller", ["list,watch | * | *", "update | | resourcequotas/status"]),
        ("root-ca-cert-publisher", ["create,update | | configmaps"]),
        ("route-controller", ["list,watch | | nodes", "patch | | nodes/status"]),
        ("service-account-controller", ["create | | serviceaccounts"]),
        ("service-ca-cert-publisher", ["create,update | | configmaps"]),
        ("service-controller", ["get,list,watch | | services", "patch,update | | services/status", "list,watch | | nodes"]),
        ("statefulset-controller",
            ["list,watch | | pods", "get,list,watch | apps | statefulsets", "update | apps | statefulsets/status,statefulsets/finalizers",
                "create,delete,get,patch,update | | pods", "create,delete,get,list,patch,update,watch | apps | controllerrevisions",
                "create,get,list,watch | | persistentvolumeclaims"]),
        ("ttl-after-finished-controller", ["delete,get,list,watch | batch | jobs"]),
        ("ttl-controller", ["list,patch,update,watch | | nodes"]),
        ("validatingadmissionpolicy-status-controller",
            ["get,list,watch | admissionregistration.k8s.io | validatingadmissionpolicies",
                "get,patch,update | admissionregistration.k8s.io | validatingadmissionpolicies/status",
                "get,list,watch | apiextensions.k8s.io | customresourcedefinitions"]),
    ];

    public static IEnumerable<string> Names => Table.Select(row => row.Name);

    public static IEnumerable<BootstrapRole> Roles =>
        Table.Select(row => new BootstrapRole("system:controller:" + row.Name, BootstrapRules.Parse([.. row.Rules, Events])));
}
