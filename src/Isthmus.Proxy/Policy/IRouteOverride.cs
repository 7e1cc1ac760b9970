namespace Isthmus.Proxy.Policy;

/// <summary>What a route says to one filter.</summary>
internal interface IRouteOverride
{
    /// <summary>Each request of the route has to meet the filter, also one that gets the route later.</summary>
    bool IsForAll => false;

    /// <summary>It adds to what other levels say: those that the proxy cannot read do not count.</summary>
    bool Adds => false;

    /// <param name="before">What a less specific level says: the table, or the virtual host.</param>
    IRouteOverride After(IRouteOverride before) => this;
}
