using System.Text.Json.Nodes;
using Isthmus.Mesh.Model;

namespace Isthmus.Mesh.Config;

/// <summary>Where a control plane reads the objects of a kind.</summary>
public enum KindPlace
{
    /// <summary>Control planes do not read them.</summary>
    Nowhere,

    EveryCluster,

    /// <summary>The configuration cluster only, in all its namespaces.</summary>
    ConfigCluster,

    /// <summary>The configuration cluster, and the others if the control plane is to read their Secrets.</summary>
    CredentialClusters,

    /// <summary>The system namespace of the cluster that runs the control plane, which may not be the configuration cluster.</summary>
    HomeNamespace,
}

/// <summary>In which clusters a control plane cannot do without a kind.</summary>
public enum KindNeed
{
    EveryCluster,

    ConfigCluster,

    /// <summary>A cluster may lack the kind or deny access to it: neither affects the cluster's health.</summary>
    Nowhere,
}

/// <summary>Which commands read the objects of a kind.</summary>
[Flags]
public enum KindUse
{
    None = 0,

    /// <summary><c>isthmus analyze</c>, and the inventory of whatever else looks at whole clusters.</summary>
    Analysis = 1,

    /// <summary>Who may not read them gets an analysis without them.</summary>
    AnalysisIfAllowed = 2,

    /// <summary>The analysis looks for some of them by name or label, or reads them from files.</summary>
    AnalysisOfSome = 128,

    /// <summary><c>isthmus trace</c>: they decide what happens to a call.</summary>
    Trace = 4,

    /// <summary>They explain some failures of a trace; whoever may not read them can trace all the same.</summary>
    TraceIfAllowed = 256,

    /// <summary><c>isthmus verify</c>: they say whether workloads get calls.</summary>
    Workloads = 8,

    /// <summary>The console's rules of a service.</summary>
    ConsoleRules = 16,

    BugReport = 32,

    /// <summary>They are kept with the last known state of a cluster.</summary>
    LastKnown = 64,
}

/// <summary>The parts of a call that objects of a kind decide: where a call fails at one, a change of such an object may be the reason.</summary>
[Flags]
public enum CallPart
{
    None = 0,

    /// <summary>Which hosts there are, and who sees them.</summary>
    Hosts = 1,

    /// <summary>Listeners, routes and clusters.</summary>
    Routes = 2,

    /// <summary>Endpoints, and what is behind them.</summary>
    Workloads = 4,

    /// <summary>How proxies encrypt, and the certificates of both sides.</summary>
    Tls = 8,

    /// <summary>Who may call.</summary>
    Policies = 16,

    /// <summary>What gateways serve.</summary>
    Gateways = 32,

    /// <summary>The program that answers.</summary>
    Applications = 64,
}

/// <summary>What roles may do with a kind, as verbs with spaces between them; empty: nothing.</summary>
/// <param name="Own">A control plane, in the clusters that it runs in or takes its configuration from.</param>
/// <param name="Status">The same with the status of objects.</param>
/// <param name="Reader">A control plane of another cluster.</param>
public sealed record KindRights(string Own = "", string Status = "", string Reader = "")
{
    public const string Read = "get list watch";

    public static readonly KindRights None = new(), ReadByAll = new(Read, Reader: Read);
}

/// <summary>What a reader gets to see of an object.</summary>
internal sealed record ObjectReading(ObjectRef Source, Field Spec, JsonObject Object, long CreatedAt)
{
    /// <returns>Empty when the object has no such annotation.</returns>
    internal string Annotation(string name) =>
        (Object["metadata"]?["annotations"] as JsonObject)?[name] is JsonValue value && value.TryGetValue<string>(out var text) ? text : "";

    /// <summary>Whether the status of the object has a condition, and it is true.</summary>
    internal bool HasCondition(string type) => (Object["status"] as JsonObject)?["conditions"] is JsonArray conditions
        && conditions.Any(item => item is JsonObject condition && condition["type"]?.ToString() == type && condition["status"]?.ToString() == "True");
}

/// <summary>
/// Everything that the program knows of a kind before it sees an object: <see cref="MeshApi"/> has one for each. Watches, rights,
/// CustomResourceDefinitions, inventories, bug reports and pages follow from it. What its objects cause is in the classes of
/// <c>Intake</c> and <c>Derive</c>.
/// </summary>
/// <param name="Group">Empty for Kubernetes' core group.</param>
/// <param name="Versions">The versions that are understood. Of those that a cluster serves, the first is read.</param>
public sealed record KindDescriptor(string Group, string Kind, string Plural, params string[] Versions)
{
    public bool IsNamespaced { get; init; } = true;

    public string[] ShortNames { get; init; } = [];

    /// <summary>The version in which API servers store objects.</summary>
    public string StoredVersion { get; init; } = "";

    /// <summary>Printer columns: name, JSON path, description.</summary>
    public (string Name, string Path, string Text)[] Columns { get; init; } = [];

    /// <summary>The shape of <c>spec</c>; null: anything.</summary>
    internal ObjectSchema? Spec { get; init; }

    /// <summary>Whether API servers demand a spec.</summary>
    internal bool NeedsSpec { get; init; }

    /// <summary>From an object to a record of <see cref="Model"/>; null: <see cref="IstioConfig"/> does not read the kind.</summary>
    internal Func<ObjectReading, object?>? Reader { get; init; }

    /// <summary>Why admission refuses every object of the kind, and what to do instead. Control planes watch it all the same: a stored object
    /// says that it has no effect.</summary>
    internal (string Message, string Remedy)? Refusal { get; init; }

    /// <summary>Whether objects with errors still apply, with the strictest meaning of the fields that have them: without a policy, more
    /// would be allowed than with it.</summary>
    internal bool IsPolicy { get; init; }

    /// <summary>Whether objects claim hosts, which may belong to another namespace.</summary>
    public bool ClaimsHosts { get; init; }

    /// <summary>Whether objects make Pods from a template, and are what findings call a workload.</summary>
    public bool IsWorkload { get; init; }

    public KindPlace Place { get; init; }

    public KindNeed Need { get; init; }

    public KindUse Uses { get; init; }

    /// <summary>Telemetry, for one, decides nothing of a call.</summary>
    public CallPart Decides { get; init; }

    public KindRights Rights { get; init; } = KindRights.None;

    /// <summary>The version to read where nobody has asked the cluster which ones it serves.</summary>
    public string ReadVersion => Versions[0];

    /// <summary>How findings name it: kinds of several groups may have the same name, and the first in the table has it alone.</summary>
    public string Name => MeshApi.All.First(known => known.Kind == Kind).Group == Group ? Kind : $"{Kind}.{Group}";

    public string ApiVersion => Group.Length == 0 ? ReadVersion : $"{Group}/{ReadVersion}";

    /// <summary>Whether a CustomResourceDefinition brings it, which may come and go.</summary>
    public bool IsCustom => Group.Contains('.', StringComparison.Ordinal) && !MeshApi.BuiltInGroups.Contains(Group);

    /// <summary>Whether API servers have the kind without a definition, but not all of them, nor in the same version.</summary>
    public bool IsDiscovered { get; init; }

    /// <summary>Whether the installation brings its definition.</summary>
    public bool IsIstio => Group.EndsWith(".istio.io", StringComparison.Ordinal);

    /// <summary>Whether it is of the Gateway API, also of what that tries out.</summary>
    public bool IsOfGatewayApi => Group is "gateway.networking.k8s.io" or "gateway.networking.x-k8s.io";

    public bool IsRefused => Refusal is not null;

    /// <summary>Whether objects affect proxies.</summary>
    public bool IsEffective => Place != KindPlace.Nowhere && !IsRefused;

    /// <summary>Whether only Pods whose proxy is Envoy get something of its objects.</summary>
    public bool NeedsEnvoy { get; init; }

    public string CrdName => $"{Plural}.{Group}";

    public bool Has(KindUse use) => (Uses & use) != 0;

    /// <summary>Whether an object of this apiVersion and kind is one of these.</summary>
    internal bool Is(string apiVersion, string kind)
    {
        if (kind != Kind || !apiVersion.StartsWith(Group, StringComparison.Ordinal)) return false;
        if (Group.Length == 0) return Versions.Contains(apiVersion);
        return apiVersion.Length > Group.Length && apiVersion[Group.Length] == '/' && Versions.Contains(apiVersion[(Group.Length + 1)..]);
    }

    public override string ToString() => Group.Length == 0 ? Plural : CrdName;
}
