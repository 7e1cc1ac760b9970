using Isthmus.Core.Collections;

namespace Isthmus.Mesh.Model.GatewayApi;

/// <param name="Status">Null: <c>Unknown</c>.</param>
public sealed record ApiCondition(string Type, bool? Status, string Reason, string Message);

/// <summary>Which state of which object was read. One that is created again under its name begins with generation 1, too, and has nothing of what was
/// written into the other one.</summary>
/// <param name="Uid">Empty: the object is not stored.</param>
public readonly record struct ObjectGeneration(long Number, string Uid)
{
    /// <summary>Of an object that is not stored.</summary>
    public static implicit operator ObjectGeneration(long number) => new(number, "");
}

/// <summary>What a control plane says of an object of the Gateway API. Times and the entries of other controllers are added when it is written.</summary>
/// <param name="Generation">That of the object which was judged: the <c>observedGeneration</c> of every condition.</param>
public abstract record ApiStatus(ObjectRef Source, ObjectGeneration Generation);

/// <summary>Of a GatewayClass or an XMesh.</summary>
public sealed record SupportStatus(ObjectRef Source, ObjectGeneration Generation, ValueList<ApiCondition> Conditions, ValueList<string> Features)
    : ApiStatus(Source, Generation);

/// <param name="Addresses">What clients may call.</param>
/// <param name="AttachedListenerSets">How many ListenerSets add listeners.</param>
public sealed record GatewayStatus(
    ObjectRef Source, ObjectGeneration Generation, ValueList<ApiCondition> Conditions, ValueList<ListenerStatus> Listeners, ValueList<ApiAddress> Addresses,
    int AttachedListenerSets)
    : ApiStatus(Source, Generation);

public sealed record ListenerSetStatus(ObjectRef Source, ObjectGeneration Generation, ValueList<ApiCondition> Conditions, ValueList<ListenerStatus> Listeners)
    : ApiStatus(Source, Generation);

/// <param name="Port">Of listeners of ListenerSets; 0: not said.</param>
public sealed record ListenerStatus(string Name, int Port, ValueList<RouteKind> SupportedKinds, int AttachedRoutes, ValueList<ApiCondition> Conditions);

public sealed record RouteStatus(ObjectRef Source, ObjectGeneration Generation, ValueList<ParentStatus> Parents) : ApiStatus(Source, Generation);

/// <summary>Of a policy, such as a BackendTLSPolicy.</summary>
public sealed record PolicyStatus(ObjectRef Source, ObjectGeneration Generation, ValueList<ParentStatus> Ancestors) : ApiStatus(Source, Generation);

public sealed record ParentStatus(ApiReference Parent, ValueList<ApiCondition> Conditions);
