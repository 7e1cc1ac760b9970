namespace Isthmus.Core.Names;

/// <summary>Names of filters that do nothing unless a route configures them.</summary>
public static class RouteFilterNames
{
    /// <summary>The filter that asks an authorizer, where a rule of a route says so. A route that configures it, or one whose name begins with its name, is
    /// not served by a listener that does not have it.</summary>
    public const string Check = "isthmus.route_ext_authz";
}
