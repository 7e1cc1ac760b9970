namespace Isthmus.Core.Names;

/// <summary>Listeners that an agent gives to its Envoy, of which no control plane knows.</summary>
public static class AgentListeners
{
    /// <summary>What the names of listeners begin with at which traced calls enter.</summary>
    public const string Calls = "isthmus-trace-";
}
