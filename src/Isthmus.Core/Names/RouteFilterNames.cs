namespace Isthmus.Core.Names;

/// <summary>Names of filters that are off unless a route asks for them.</summary>
public static class RouteFilterNames
{
    /// <summary>What the names of filters begin with that ask an authorizer, where a rule of a route says so. A route that asks for one which a listener
    /// does not have is not served there.</summary>
    public const string Check = "isthmus.route_ext_authz.";
}
