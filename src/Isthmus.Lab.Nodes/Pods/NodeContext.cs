using Isthmus.Lab.Nodes.Api;
using Isthmus.Lab.Nodes.Images;
using Isthmus.Lab.Nodes.Probes;
using Isthmus.Lab.Nodes.Processes;
using Microsoft.Extensions.Logging;

namespace Isthmus.Lab.Nodes.Pods;

/// <summary>What all Pods of one node share.</summary>
internal sealed record NodeContext(
    NodeSettings Settings, INodeApi Api, Sandboxes Sandboxes, ImageCatalogue Images, EventRecorder Events,
    Reactor Reactor, ProbeRunner Probes, NodeCapacity Capacity, IdMap Users, IdMap Groups, Random Random, TimeProvider Time, ILogger Log)
{
    /// <summary>Group IDs can be set if several exist. With a single one, the kernel denies even that.</summary>
    internal bool CanSetGroups => !Groups.IsSingle;
}
