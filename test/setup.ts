// Loaded before every test file. Nest's CommonJS satellites must find its ESM core already
// evaluated, or Node refuses to require it in the middle of a cycle.
import 'reflect-metadata';
import '@nestjs/common';
import '@nestjs/core';
