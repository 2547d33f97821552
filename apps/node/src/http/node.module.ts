import { type DynamicModule, Module } from '@nestjs/common';
import { NodeContext } from './node-context.ts';
import { NodeController } from './node.controller.ts';

@Module({})
export class NodeModule {
  static with(context: NodeContext): DynamicModule {
    return {
      module: NodeModule,
      controllers: [NodeController],
      providers: [{ provide: NodeContext, useValue: context }],
    };
  }
}
