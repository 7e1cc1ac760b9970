using Isthmus.Core.Collections;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Model.GatewayApi;

namespace Isthmus.Mesh.Resolve.GatewayApi;

/// <summary>What is said of Gateways and ListenerSets, except whether their Pods serve them already, and where.</summary>
public static class GatewayStatuses
{
    private const string Accepted = "Accepted", Invalid = "ListenersNotValid";

    /// <param name="judged">The listeners of the Gateway itself.</param>
    /// <param name="attached">How many routes each listener has, by its name.</param>
    /// <param name="sets">How many ListenerSets add valid listeners.</param>
    /// <param name="references">Where the certificate that it shows to backends is looked up.</param>
    public static GatewayStatus Of(JudgedListeners judged, Func<string, int> attached, int sets, ListenerReferences references)
    {
        var gateway = judged.Gateway;
        var certificate = gateway.BackendCertificate is { } reference ? references.PairFault(gateway.Source, reference, "InvalidClientCertificateRef") : null;
        List<ApiCondition> conditions =
        [
            judged.Valid == judged.Listeners.Count ? new(Accepted, true, Accepted, "The Gateway is valid")
                : judged.Valid > 0 || sets > 0 ? new(Accepted, true, Invalid, $"Some listeners are not valid: {NamesOf(judged)}")
                : new(Accepted, false, Invalid, $"No listener is valid: {NamesOf(judged)}"),
            certificate is null ? new("ResolvedRefs", true, "ResolvedRefs", "All references lead to what they name")
                : new("ResolvedRefs", false, certificate.Reason, certificate.Message),
        ];
        // A Gateway without any valid listener is rejected as a whole, whatever its Pods are ready for.
        if (conditions[0] is { Status: false } rejected) conditions.Add(new("Programmed", false, "Invalid", rejected.Message));
        if (gateway.Frontend is { AllowsInsecure: true } || gateway.FrontendPorts.Any(port => port.Validation is { AllowsInsecure: true }))
            conditions.Add(new("InsecureFrontendValidationMode", true, "ConfigurationChanged",
                "Clients without a valid certificate are served (AllowInsecureFallback)"));
        return new(gateway.Source, gateway.Generation, conditions.ToValueList(), ListenersOf(judged, attached), default, sets);
    }

    /// <summary>Of a Gateway whose listeners are elsewhere.</summary>
    public static GatewayStatus OfUnmanaged(ApiGateway gateway) =>
        new(gateway.Source, gateway.Generation, [new(Accepted, true, Accepted, "The Gateway is served elsewhere")], default, default, 0);

    public static ListenerSetStatus OfSet(JudgedListeners judged, Func<string, int> attached)
    {
        var (reason, message) = !judged.IsAllowed
            ? ("NotAllowed", $"Gateway {judged.Gateway.Namespace}/{judged.Gateway.Name} does not allow ListenerSets of this namespace (spec.allowedListeners)")
            : judged.Valid == 0 ? (Invalid, $"No listener is valid: {NamesOf(judged)}") : ("", "");
        return new(judged.Owner, judged.Generation, reason.Length > 0
            ? [new(Accepted, false, reason, message), new("Programmed", false, reason, message)]
            : [judged.Valid == judged.Listeners.Count ? new(Accepted, true, Accepted, "The ListenerSet is valid")
                : new(Accepted, true, Invalid, $"Some listeners are not valid: {NamesOf(judged)}")],
            ListenersOf(judged, attached));
    }

    /// <summary>Of a ListenerSet whose parent is no Gateway.</summary>
    public static ListenerSetStatus OfStraySet(ListenerSet set)
    {
        var message = $"{set.Parent.Kind} {set.Parent.Namespace}/{set.Parent.Name} cannot take listeners: spec.parentRef must name a Gateway";
        return new(set.Source, set.Generation, [new(Accepted, false, "Invalid", message), new("Programmed", false, "Invalid", message)], default);
    }

    private static ValueList<ListenerStatus> ListenersOf(JudgedListeners judged, Func<string, int> attached) =>
        judged.Listeners.Select(listener =>
            new ListenerStatus(listener.Listener.Name, 0, listener.Kinds, attached(listener.Listener.Name), listener.Conditions)).ToValueList();

    private static string NamesOf(JudgedListeners judged) =>
        string.Join(", ", judged.Listeners.Where(listener => !listener.IsProgrammed).Select(listener => listener.Listener.Name));
}
