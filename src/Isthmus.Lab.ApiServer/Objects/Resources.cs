
namespace Isthmus.Lab.ApiServer.Objects;

/// <summary>Resources that the server itself reads and writes.</summary>
internal static class Resources
{
    public const string RbacGroup = "rbac.authorization.k8s.io";
    public const string AuthenticationGroup = "authentication.k8s.io";
    public const string AuthorizationGroup = "authorization.k8s.io";
    public const string AdmissionGroup = "admissionregistration.k8s.io";
    public const string ExtensionsGroup = "apiextensions.k8s.io";
    public const string CertificatesGroup = "certificates.k8s.io";
    public const string DiscoveryGroup = "discovery.k8s.io";

    public static readonly GroupResource Namespaces = new("", "namespaces");
    public static readonly GroupResource ServiceAccounts = new("", "serviceaccounts");
    public static readonly GroupResource Secrets = new("", "secrets");
    public static readonly GroupResource Pods = new("", "pods");
    public static readonly GroupResource Nodes = new("", "nodes");
    public static readonly GroupResource Services = new("", "services");
    public static readonly GroupResource EndpointSlices = new(DiscoveryGroup, "endpointslices");
    public static readonly GroupResource PriorityClasses = new("scheduling.k8s.io", "priorityclasses");
    public static readonly GroupResource Roles = new(RbacGroup, "roles");
    public static readonly GroupResource ClusterRoles = new(RbacGroup, "clusterroles");
    public static readonly GroupResource RoleBindings = new(RbacGroup, "rolebindings");
    public static readonly GroupResource ClusterRoleBindings = new(RbacGroup, "clusterrolebindings");
    public static readonly GroupResource Definitions = new(ExtensionsGroup, "customresourcedefinitions");
    public static readonly GroupResource MutatingWebhooks = new(AdmissionGroup, "mutatingwebhookconfigurations");
    public static readonly GroupResource ValidatingWebhooks = new(AdmissionGroup, "validatingwebhookconfigurations");
    public static readonly GroupResource AdmissionPolicies = new(AdmissionGroup, "validatingadmissionpolicies");
    public static readonly GroupResource AdmissionPolicyBindings = new(AdmissionGroup, "validatingadmissionpolicybindings");
}
