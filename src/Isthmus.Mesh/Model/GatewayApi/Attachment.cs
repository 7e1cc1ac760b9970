using Isthmus.Core.Collections;

namespace Isthmus.Mesh.Model.GatewayApi;

/// <summary>A route, and what its parents of gateways say to it. Parents of the mesh, and those of other controllers, are left out.</summary>
public sealed record AttachedRoute(ApiRoute Route, ValueList<ParentAttachment> Parents);

/// <summary>What one of the references of a route to a Gateway or ListenerSet leads to.</summary>
/// <param name="Listeners">The listeners that take the route; none: it has no effect there.</param>
/// <param name="Accepted">Its condition <c>Accepted</c>.</param>
public sealed record ParentAttachment(ApiReference Parent, ValueList<AttachedListener> Listeners, ApiCondition Accepted);

/// <summary>A listener that takes a route.</summary>
/// <param name="Owner">The Gateway or ListenerSet that has it.</param>
/// <param name="Name">Its name there.</param>
/// <param name="Server">The internal <see cref="Gateway"/> that stands for it, as routes name it (<see cref="RouteSet.Parents"/>).</param>
/// <param name="Protocol">As the listener says.</param>
/// <param name="Hostnames">Those of the route that the listener takes, as narrow as the narrower of both; <c>*</c>: every host.</param>
/// <param name="TerminatesTls">Whether connections are decrypted.</param>
public sealed record AttachedListener(ObjectRef Owner, string Name, string Server, int Port, string Protocol, ValueList<string> Hostnames, bool TerminatesTls);
